import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { sendRaw, WHOLE_ANSWER } from '../support/raw-client.ts'
import { eventually, writeSecret } from '../support/sallyport.ts'
import { PROOF } from './crm.ts'
import { CONNECTIONS, openStage, type Stage } from './under-way.ts'

let stage: Stage

beforeAll(async () => {
  stage = await openStage()
})

afterAll(async () => stage?.close())

/** A file is looked at once a second, and believed when a second look agrees; on a busy machine later. */
const NOTICED_MS = 15_000

test('a key whose file was rewritten ends what it began, as it ends what comes next', async () => {
  const grants = CONNECTIONS.map((connection) => ({
    id: connection,
    holder: { caller: 'checkout' },
    connection,
    rules: [],
  }))
  stage.sallyport.house.revise({ grants, disabled: new Set() })
  const going = [await stage.things['an unopened tunnel']?.(), await stage.things['a WebSocket']?.()]
  expect(going.map((one) => one?.ended())).toEqual([undefined, undefined])
  writeSecret(stage.directory, 'checkout', randomBytes(16).toString('hex'))
  for (const one of going) expect(await eventually(() => one?.ended(), 'the end', NOTICED_MS)).toBe('reset')
  const request = `GET http://api.crm.test/next HTTP/1.1\r\nHost: api.crm.test\r\n${PROOF}\r\n`
  const { text } = await sendRaw(stage.sallyport.door('forward'), request, { until: WHOLE_ANSWER })
  expect(text).toContain('"code":"caller-unknown"')
  const entry = await stage.sallyport.entry({ code: 'access-revoked', connection: 'passed' })
  expect(entry['reason']).toBe('caller-unknown: checkout is not known any more')
})
