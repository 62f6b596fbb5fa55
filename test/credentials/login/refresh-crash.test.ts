import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { storeKinds } from '../../../src/store/registry.ts'
import { type Authority, makeAuthority } from '../../support/certificates.ts'
import { hasTool } from '../../support/debian.ts'
import { type Quirk, type QuirkIssuer, startQuirkIssuer, tokenAnswer } from '../../support/quirk-issuer.ts'
import { loopback } from '../../support/source-tools.ts'
import { type StorePlace, StorePlaces, until } from '../../support/stores.ts'

const PROGRAM = join(import.meta.dirname, '../../support/refresher.ts')
const ROUNDS = 4
const places = new StorePlaces()
let authority: Authority
let issuer: QuirkIssuer

beforeAll(async () => {
  authority = await makeAuthority()
})
beforeEach(async () => {
  issuer = await startQuirkIssuer(await authority.issue(['login.test']))
})
afterEach(() => issuer.stop())
afterAll(() => places.close())

interface Program {
  readonly child: ChildProcess
  said(): string[]
  go(): void
}

async function start(place: StorePlace, isOnce: boolean): Promise<Program> {
  const orders = {
    directory: place.directory,
    store: { key: { env: 'KEY' }, ...place.settings },
    source: {
      kind: 'refresh-token',
      refreshToken: { env: 'FIRST' },
      tokenEndpoint: `https://login.test:${issuer.port}/token`,
      clientId: 'my-app',
      clientAuth: 'none',
      tls: { ca: { file: 'ca.pem' } },
      allowPrivate: loopback,
      // Long enough that a busy machine is not taken for an answer that was lost.
      timeoutMs: 3_000,
    },
    secrets: { ...Object.fromEntries(place.secrets), FIRST: 'rt-0' },
    ca: authority.certPem,
    isOnce,
  }
  const child = spawn(process.execPath, [PROGRAM, JSON.stringify(orders)], { stdio: ['pipe', 'pipe', 'inherit'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  let text = ''
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()))
  const said = () => text.split('\n').filter(Boolean)
  await until(() => said().includes('ready') || child.exitCode !== null, 20_000)
  return { child, said, go: () => void child.stdin.write('go\n') }
}

/**
 * An issuer that rotates, and revokes everything when it is shown a refresh token that was rotated, unless that is the
 * one before the last, and the last has never been shown: then its answer may have been lost.
 */
class StrictIssuer {
  #latest = 0
  #before = 0
  #number = 0
  #isRevoked = false
  readonly shown: number[] = []
  /** Called before each answer is sent. */
  onAnswer: () => void = () => undefined

  answer(body: string, lifetime: number): Quirk {
    const shown = Number(new URLSearchParams(body).get('refresh_token')?.replace('rt-', ''))
    this.shown.push(shown)
    if (shown !== this.#latest && shown !== this.#before) this.#isRevoked = true
    if (this.#isRevoked) return { status: 400, body: { error: 'invalid_grant' } }
    this.#before = shown
    this.#latest = ++this.#number
    this.onAnswer()
    const { access_token, refresh_token } = { access_token: `at-${this.#latest}`, refresh_token: `rt-${this.#latest}` }
    return tokenAnswer({ access_token, refresh_token, expires_in: lifetime })
  }
}

// Object.keys has forgotten the names of the keys.
const kinds = Object.keys(storeKinds) as (keyof typeof storeKinds)[]

describe.each(kinds)('with %s', (kind) => {
  const test_ = test.skipIf(kind === 'postgres' && !hasTool('postgresql'))

  test_(
    'J19: kill -9 around a refresh loses no refresh token whose access token was in use',
    async () => {
      const place = await places.make(kind)
      const strict = new StrictIssuer()
      issuer.answer(({ body }) => strict.answer(body, 1.5))
      let used = 0
      for (let round = 0; round < ROUNDS; round++) {
        const { child, said, go } = await start(place, false)
        const closed = once(child, 'close')
        const before = strict.shown.length
        go()
        await until(() => said().some((line) => line.startsWith('token ')), 20_000)
        // Between what the issuer has sent and what is written down, or a little before or after.
        const answered = new Promise<void>(
          (resolve) => (strict.onAnswer = () => setTimeout(resolve, Math.random() * 6)),
        )
        await answered
        // What is shown first is no older than what has been used before.
        expect(strict.shown[before]).toBeGreaterThanOrEqual(used)
        child.kill('SIGKILL')
        await closed
        strict.onAnswer = () => undefined
        const tokens = said().flatMap((line) => /^token at-(\d+)$/.exec(line)?.[1] ?? [])
        used = Math.max(used, ...tokens.map(Number))
        expect(
          said().filter((line) => /^fail|^fault/.test(line) && !line.includes('had expired when it arrived')),
        ).toEqual([])
      }
      expect(used).toBeGreaterThan(ROUNDS)
    },
    240_000,
  )

  test_(
    'J19: of four processes that need a token at once one refreshes, and all use what it got',
    async () => {
      const place = await places.make(kind)
      const strict = new StrictIssuer()
      issuer.answer(({ body }) => ({ ...strict.answer(body, 3600), delayMs: 200 }))
      const programs = await Promise.all(Array.from({ length: 4 }, () => start(place, true)))
      const ended = programs.map(({ child }) => once(child, 'close'))
      for (const { go } of programs) go()
      await Promise.all(ended)
      expect(programs.map(({ said }) => said().at(-1))).toEqual(Array.from({ length: 4 }, () => 'token at-1'))
      expect(strict.shown).toEqual([0])
    },
    240_000,
  )
})

test('J19: what was received and could not be written down before kill -9 is asked for once more', async () => {
  const place = await places.make('sqlite')
  const strict = new StrictIssuer()
  issuer.answer(({ body }) => strict.answer(body, 3600))
  const first = await start(place, false)
  const closed = once(first.child, 'close')
  const file = new DatabaseSync(join(place.directory, 'store/test.db'))
  strict.onAnswer = () => file.exec('begin immediate')
  first.go()
  await issuer.received(1)
  await until(() => file.isTransaction)
  first.child.kill('SIGKILL')
  await closed
  file.exec('rollback')
  file.close()
  strict.onAnswer = () => undefined
  expect(first.said()).toEqual(['ready'])
  const second = await start(place, true)
  const ended = once(second.child, 'close')
  second.go()
  await ended
  expect(second.said()).toEqual(['ready', 'token at-2'])
  expect(strict.shown).toEqual([0, 0])
})
