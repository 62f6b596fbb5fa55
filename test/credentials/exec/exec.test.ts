import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { buildSupply, sourceSettings } from '../../../src/credentials/registry.ts'
import { isGone } from '../../support/processes.ts'
import { eventually } from '../../support/sallyport.ts'
import { makeSourceTools } from '../../support/source-tools.ts'

const HOUR = 3_600_000

let directory: string

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sallyport-exec-'))
})

afterEach(() => {
  vi.unstubAllEnvs()
  rmSync(directory, { recursive: true, force: true })
})

/** A program for the shell that it names itself, which the source does not know of. */
function program(script: string, name = 'get-token'): string {
  const file = join(directory, name)
  writeFileSync(file, `#!/bin/sh\n${script}\n`, { mode: 0o700 })
  return file
}

function printing(answer: unknown): string {
  const file = join(directory, 'answer')
  writeFileSync(file, typeof answer === 'string' ? answer : JSON.stringify(answer))
  return program(`cat '${file}'`)
}

function setUp(command: readonly string[], more: object = {}, ending?: AbortSignal) {
  const made = makeSourceTools({ secret: 'unused' })
  const settings = sourceSettings.parse({ kind: 'exec', command, ...more })
  const supply = buildSupply(settings, { ...made.tools, ...(ending && { ending }) })
  return { ...made, supply, ask: async () => supply.obtain() }
}

const failure = (asking: Promise<unknown>) => asking.then(String, (error: unknown) => error)

describe('what a command prints is taken', () => {
  const at = (time: number) => new Date(time).toISOString()
  test.each([
    [
      'an ExecCredential',
      (now: number) => ({
        kind: 'ExecCredential',
        apiVersion: 'client.authentication.k8s.io/v1',
        status: { token: 'at-1', expirationTimestamp: at(now + HOUR) },
      }),
      HOUR,
    ],
    ['an ExecCredential that tells no end', () => ({ kind: 'ExecCredential', status: { token: 'at-1' } }), 300_000],
    ['a token and when it expires', (now: number) => ({ token: 'at-1', expiresAt: at(now + HOUR) }), HOUR],
    ['a token and how long it lives', () => ({ access_token: 'at-1', expires_in: 3600 }), HOUR],
    ['a token alone', () => ({ token: 'at-1' }), 300_000],
  ] as const)('%s', async (_what, answer, lifetime) => {
    const now = makeSourceTools({ secret: '' }).clock.now()
    const { ask } = setUp([printing(answer(now))])
    const credential = await ask()
    expect(credential?.secret.reveal()).toBe('at-1')
    expect(credential?.expiresAt).toBe(now + lifetime)
  })
})

describe('what a command does wrong injects nothing, by a stable code', () => {
  test.each([
    [
      'an exit with an error',
      'echo SE_CANARY >&2; echo \'{"token":"at-1"}\'; exit 3',
      /exited with 3, and wrote 10 bytes to its standard error/,
    ],
    ['an end by a signal', 'kill -TERM $$', /was ended by SIGTERM/],
    ['no JSON', 'echo SE_CANARY', /not a JSON object: let it print \{"token": TOKEN, "expiresAt": TIME\}, or/],
    ['nothing', ':', /printed something that is not a JSON object/],
    ['a list', 'echo \'["SE_CANARY"]\'', /not a JSON object/],
    ['two tokens', 'echo \'{"token":"SE_CANARY","access_token":"at-2"}\'', /not exactly one of token and access_token/],
    ['one token twice', 'echo \'{"token":"SE_CANARY","token":"at-2"}\'', /not a JSON object/],
    [
      'an ExecCredential of certificates',
      'echo \'{"kind":"ExecCredential","status":{"clientCertificateData":"SE_CANARY"}}\'',
      /without status\.token/,
    ],
    ['a token of two lines', 'printf %s \'{"token":"SE_CANARY\\r\\nX-Evil: 1"}\'', /missing or not printable ASCII/],
    [
      'an end that nobody understands',
      'echo \'{"token":"at-1","expiresAt":"SE_CANARY"}\'',
      /an expiry in none of the usual forms/,
    ],
    [
      'a token that has expired',
      'echo \'{"token":"at-1","expiresAt":"2026-01-01T00:00:00Z"}\'',
      /had expired when it arrived/,
    ],
    ['more than it may print', 'yes SE_CANARY', /printed more than 65536 bytes/],
  ])('%s', async (_what, script, reason) => {
    const { ask, events, supply } = setUp([program(script)])
    const problem = await failure(ask())
    expect(problem).toMatchObject({ code: 'credential-failed', reason: expect.stringMatching(reason) })
    expect(inspect([problem, events, supply.state()], { depth: 9, showHidden: true })).not.toContain('SE_CANARY')
  })

  test('a program that is not there', async () => {
    const problem = await failure(setUp(['no-such-program-anywhere']).ask())
    expect(problem).toMatchObject({
      code: 'credential-failed',
      reason: 'there is no program no-such-program-anywhere that may be run',
    })
  })

  test('a file that is no program', async () => {
    const file = program('', 'broken')
    writeFileSync(file, '#!/no/such/interpreter\n')
    expect(await failure(setUp([file]).ask())).toMatchObject({
      code: 'credential-failed',
      reason: 'the command broken cannot be run (ENOENT)',
    })
  })

  test('it is not run again at once', async () => {
    const { ask } = setUp([program(`echo x >> ${directory}/runs; exit 1`)])
    await failure(ask())
    await failure(ask())
    expect(readFileSync(join(directory, 'runs'), 'utf8')).toBe('x\n')
  })
})

describe('a command runs by itself', () => {
  test('once, for all who ask at once', async () => {
    const { ask } = setUp([program(`echo x >> ${directory}/runs; echo '{"token":"at-1"}'`)])
    await Promise.all([ask(), ask(), ask()])
    expect(readFileSync(join(directory, 'runs'), 'utf8')).toBe('x\n')
  })

  test('with the arguments as they are: no shell reads them', async () => {
    const marker = join(directory, 'shell-was-here')
    const hostile = `$(touch ${marker}); touch ${marker} & \`touch ${marker}\``
    const { ask } = setUp([program('printf \'{"token":"%s"}\' "$#"'), hostile, 'two words'])
    expect((await ask())?.secret.reveal()).toBe('2')
    expect(existsSync(marker)).toBe(false)
  })

  test('with PATH, HOME and what is named of the environment, and no more', async () => {
    vi.stubEnv('OTHER_SECRET', 'LT_CANARY')
    vi.stubEnv('PROFILE', 'production')
    const { ask } = setUp([program(`env > ${directory}/env; echo '{"token":"at-1"}'`)], { env: ['PROFILE'] })
    await ask()
    const lines = readFileSync(join(directory, 'env'), 'utf8').split('\n')
    // PWD, _ and SHLVL are the shell's own doing.
    const names = lines
      .map((line) => line.split('=')[0] ?? '')
      .filter((name) => !/^(?:|PWD|OLDPWD|_|SHLVL)$/.test(name))
    expect(names.sort()).toEqual(
      ['HOME', 'KUBERNETES_EXEC_INFO', 'PATH', 'PROFILE'].filter(
        (name) => name in process.env || name === 'KUBERNETES_EXEC_INFO',
      ),
    )
    expect(lines.join()).not.toContain('LT_CANARY')
  })

  test('found by its name on PATH, and nowhere that depends on where we are', async () => {
    mkdirSync(join(directory, 'bin'))
    program('echo \'{"token":"by-path"}\'', 'bin/by-path')
    vi.stubEnv('PATH', `.::${join(directory, 'bin')}:/usr/bin:/bin`)
    expect((await setUp(['by-path']).ask())?.secret.reveal()).toBe('by-path')
    chmodSync(join(directory, 'bin/by-path'), 0o600)
    expect(await failure(setUp(['by-path']).ask())).toMatchObject({ code: 'credential-failed' })
  })
})

describe('a command does not outlive its time', () => {
  /** Starts another process, and tells the ids of both. */
  const lingering = () => program(`sleep 600 & echo $! > ${directory}/child; echo $$ > ${directory}/self; wait`)
  const idOf = (name: string) => Number(readFileSync(join(directory, name), 'utf8'))
  const bothGone = () =>
    eventually(() => (isGone(idOf('child')) && isGone(idOf('self')) ? true : undefined), 'the end of both')
  const bothStarted = () =>
    eventually(() => (existsSync(join(directory, 'self')) && idOf('self') > 0 ? true : undefined), 'the start')

  test('late, it is killed with all that it has started', async () => {
    // Time enough to start both, on a machine that is busy.
    const problem = await failure(setUp([lingering()], { timeoutMs: 3_000 }).ask())
    expect(problem).toMatchObject({
      code: 'credential-unavailable',
      reason: 'the command get-token did not end within 3000 ms',
    })
    await bothGone()
  })

  test('late, nobody waits for what it has left behind in a session of its own', async () => {
    const leaving = program('setsid sleep 20 & sleep 0.2; echo \'{"token":"at-1"}\'')
    const { ask } = setUp([leaving], { timeoutMs: 500 })
    const begun = performance.now()
    expect(await failure(ask())).toMatchObject({ reason: 'the command get-token did not end within 500 ms' })
    expect(performance.now() - begun).toBeLessThan(10_000)
  })

  test('when Sallyport closes it is killed, and no other is started', async () => {
    const closing = new AbortController()
    const { ask } = setUp([lingering()], { timeoutMs: 60_000 }, closing.signal)
    const problem = failure(ask())
    await bothStarted()
    closing.abort()
    expect(await problem).toMatchObject({ code: 'credential-unavailable', reason: 'Sallyport is closing' })
    await bothGone()
    rmSync(join(directory, 'self'))
    expect(await failure(setUp([lingering()], {}, closing.signal).ask())).toMatchObject({
      reason: 'Sallyport is closing',
    })
    expect(existsSync(join(directory, 'self'))).toBe(false)
  })

  test('what it leaves running behind does not keep its answer back', async () => {
    const { ask } = setUp([program(`sleep 600 & echo $! > ${directory}/child; echo '{"token":"at-1"}'`)])
    expect((await ask())?.secret.reveal()).toBe('at-1')
    await eventually(() => (isGone(idOf('child')) ? true : undefined), 'the end of what was left')
  })
})

test.each([
  [['./get-token'], 'command.0'],
  [['bin/get-token'], 'command.0'],
  [[''], 'command.0'],
  [[], 'command'],
  [['a', 'b\0c'], 'command.1'],
])('settings refuse the command %j', (command, path) => {
  const result = sourceSettings.safeParse({ kind: 'exec', command })
  expect(result.error?.issues.map((issue) => issue.path.join('.'))).toContain(path)
})
