import { expect, test } from 'vitest'
import { buildRecognize } from '../../src/callers/recognize.ts'
import { buildIdentify, type CallerSettings } from '../../src/callers/registry.ts'
import type { Evidence } from '../../src/core/ask.ts'
import { Secret, sha256 } from '../../src/core/secret.ts'
import { makeCallerTools } from '../support/caller-tools.ts'

const KEYED: CallerSettings = { kind: 'api-key', digest: `sha256:${sha256('right').toString('hex')}` }
const app = { name: 'app', method: 'api-key' }

function shows(key: string): Evidence {
  return { keys: [{ key: new Secret(key) }], keysAre: 'certain' }
}

function recognizing(callers: Readonly<Record<string, CallerSettings>>) {
  return buildRecognize(buildIdentify(callers, makeCallerTools()), callers)
}

test('a key that still proves its caller goes on to', () => {
  expect(recognizing({ app: KEYED })(app, shows('right'))).toEqual(app)
})

test.each([
  ['a caller that is not there any more', {}, app],
  ['a caller whose key is another one', { app: { ...KEYED, digest: `sha256:${'0'.repeat(64)}` } }, app],
  ['a key that proves another caller now', { other: KEYED }, app],
])('%s is nobody', (_what, callers, caller) => {
  expect(recognizing(callers)(caller, shows('right'))).toBeUndefined()
})

test('a proof that takes time is not asked for again: its caller need only be there', () => {
  const token = { name: 'robot', method: 'jwt' }
  // A kind that this registry does not have; what it is built of says who there is.
  const callers = { robot: { kind: 'jwt' } } as unknown as Record<string, CallerSettings>
  const recognize = buildRecognize(() => Promise.reject(new Error('asked')), callers)
  expect(recognize(token, shows('run-out'))).toEqual(token)
  expect(recognize({ ...token, name: 'deleted' }, shows('run-out'))).toBeUndefined()
})
