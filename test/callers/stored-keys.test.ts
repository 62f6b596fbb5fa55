import { describe, expect, test } from 'vitest'
import { buildCallers, type CallerSettings, callerSettings } from '../../src/callers/registry.ts'
import type { Evidence } from '../../src/core/ask.ts'
import type { StoredCaller, StoredKey } from '../../src/core/holdings.ts'
import { Secret, sha256 } from '../../src/core/secret.ts'
import { makeCallerTools } from '../support/caller-tools.ts'
import { claimsAt, jwksOf, makeSigningKey, signToken } from '../support/tokens.ts'

const DECLARED = 'the declared key'
const signer = await makeSigningKey()

function stored(name: string, ...keys: readonly (string | [string, number])[]): StoredCaller {
  const rows = keys.map((one, at): StoredKey => {
    const [text, expiresAt] = typeof one === 'string' ? [one, undefined] : one
    return { id: `${name}-${at}`, digest: sha256(text).toString('hex'), createdAt: 0, expiresAt }
  })
  return { name, createdAt: 0, createdBy: 'test', keys: rows }
}

function scene(more: Readonly<Record<string, object>> = {}) {
  const tools = makeCallerTools({ secret: DECLARED, file: jwksOf(signer) })
  const callers = { declared: { kind: 'api-key', key: { file: 'key' } }, ...more }
  const settings = Object.fromEntries(
    Object.entries(callers).map(([name, one]): [string, CallerSettings] => [name, callerSettings.parse(one)]),
  )
  return { ...tools, identifyWith: buildCallers(settings, tools) }
}

function shows(key: string, caller?: string): Evidence {
  return { keys: [{ key: new Secret(key), caller }], keysAre: 'certain' }
}

function named(...callers: readonly StoredCaller[]) {
  const { identifyWith, ...rest } = scene()
  const identify = identifyWith(callers)
  return { ...rest, name: async (key: string, caller?: string) => (await identify(shows(key, caller))).name }
}

describe('a caller of the store', () => {
  test('is known by its key, alone or beside its name, and by no other name', async () => {
    const { name } = named(stored('added', 'its key'), stored('other', 'another'))
    expect(await name('its key')).toBe('added')
    expect(await name('its key', 'added')).toBe('added')
    expect(await name('its key', 'other')).toBeUndefined()
    expect(await name('its key', 'declared')).toBeUndefined()
    expect(await name('its key', 'nobody')).toBeUndefined()
    expect(await name('no key')).toBeUndefined()
    expect(await name(DECLARED)).toBe('declared')
  })

  test('has several keys while one is being rotated, each until its very millisecond', async () => {
    const { name, clock } = named()
    const until = clock.now() + 1_000
    const rotating = named(stored('added', ['old', until], 'new'))
    expect([await rotating.name('old'), await rotating.name('new')]).toEqual(['added', 'added'])
    rotating.clock.advance(999)
    expect(await rotating.name('old')).toBe('added')
    rotating.clock.advance(1)
    expect([await rotating.name('old'), await rotating.name('new')]).toEqual([undefined, 'added'])
    expect(await name('old')).toBeUndefined()
  })

  test('H03: has a key no longer because somebody has set the clock back', async () => {
    const { identifyWith, clock } = scene()
    const identify = identifyWith([stored('added', ['old', clock.now() + 1_000])])
    clock.advance(1_000)
    clock.jumpWall(-3_600_000)
    expect((await identify(shows('old'))).name).toBeUndefined()
  })

  test('is an api-key caller in the record', async () => {
    const { identifyWith } = scene()
    expect(await identifyWith([stored('added', 'its key')])(shows('its key'))).toEqual({
      name: 'added',
      method: 'api-key',
    })
  })

  test('whose name the settings have proves nobody, whatever its key, and takes nothing over', async () => {
    const { identifyWith } = scene({ door: { kind: 'socket' } })
    const identify = identifyWith([stored('declared', 'intruder'), stored('door', 'intruder too')])
    for (const [key, caller] of [
      ['intruder'],
      ['intruder', 'declared'],
      ['intruder too'],
      ['intruder too', 'door'],
    ] as const)
      expect((await identify(shows(key, caller))).name).toBeUndefined()
    expect((await identify(shows(DECLARED, 'declared'))).name).toBe('declared')
  })

  test('with the key of a declared one is that one, and with the key of another stored one nobody', async () => {
    const { name } = named(stored('copy', DECLARED), stored('one', 'same'), stored('two', 'same'))
    expect(await name(DECLARED)).toBe('declared')
    expect(await name('same')).toBeUndefined()
    expect(await name('same', 'two')).toBe('two')
  })

  test('with the same key twice is not two callers', async () => {
    const { name } = named(stored('added', 'twice', 'twice'))
    expect(await name('twice')).toBe('added')
  })

  test('that is removed is nobody from the next question on, and what is known of tokens stays', async () => {
    const job = {
      kind: 'jwt',
      issuer: 'https://issuer.test',
      audience: 'a',
      jwks: { file: 'j' },
      claims: { sub: 'job' },
    }
    const { identifyWith, clock } = scene({ job })
    const text = await signToken(signer, claimsAt(clock.now(), { iss: 'https://issuer.test', aud: 'a', sub: 'job' }))
    const before = identifyWith([stored('added', 'its key')])
    expect((await before(shows(text))).name).toBe('job')
    const after = identifyWith([])
    expect((await after(shows('its key'))).name).toBeUndefined()
    // A token that is known is answered at once; one that is not needs its signature verified.
    expect(after(shows(text))).toMatchObject({ name: 'job' })
  })

  test('of the name that a token would make is the only one of that name', async () => {
    const all = { kind: 'jwt', issuer: 'https://issuer.test', audience: 'a', jwks: { file: 'j' }, name: 'ci/{sub}' }
    const { identifyWith, clock } = scene({ all })
    const text = await signToken(signer, claimsAt(clock.now(), { iss: 'https://issuer.test', aud: 'a', sub: 'job' }))
    expect((await identifyWith([])(shows(text))).name).toBe('ci/job')
    expect((await identifyWith([stored('ci/job', 'its key')])(shows(text))).name).toBeUndefined()
  })
})
