import { hash } from 'node:crypto'
import { expect, test } from 'vitest'
import { buildOperators, defaultOperators } from '../../src/admin/operators.ts'
import type { OperatorSettings } from '../../src/admin/settings.ts'
import { buildIdentify, callerSettings } from '../../src/callers/registry.ts'
import { Secret } from '../../src/core/secret.ts'
import { makeCallerTools } from '../support/caller-tools.ts'
import { claimsAt, jwksOf, makeSigningKey, signToken } from '../support/tokens.ts'

function build(operators: Readonly<Record<string, OperatorSettings>>) {
  return buildOperators(operators, (proofs) => buildIdentify(proofs, makeCallerTools()))
}

function keyed(role: OperatorSettings['role'], key: string): OperatorSettings {
  return { role, proof: { kind: 'api-key', digest: `sha256:${hash('sha256', key)}` } }
}

const peer = (uid: number) => ({ keys: [], keysAre: 'certain' as const, peer: { pid: 1, uid, gid: 1 } })

test('the role is the one of the operator whose proof it is', async () => {
  const { recognize } = build({
    ann: keyed('viewer', 'one'),
    bob: keyed('admin', 'two'),
    eve: keyed('granter', 'three'),
  })
  for (const [key, name, role] of [
    ['one', 'ann', 'viewer'],
    ['two', 'bob', 'admin'],
    ['three', 'eve', 'granter'],
  ] as const)
    expect(await recognize({ keys: [{ key: new Secret(key) }], keysAre: 'certain' })).toEqual({
      name,
      proof: 'api-key',
      role,
    })
  expect(await recognize({ keys: [{ key: new Secret('four') }], keysAre: 'certain' })).toBeUndefined()
})

test('a token whose issuer cannot be asked proves nobody, and is told from a wrong one', async () => {
  const tools = makeCallerTools({ file: 'broken' })
  const issuer = 'https://issuer.test'
  const job = { kind: 'jwt', issuer, audience: 'a', jwks: { file: 'j' }, claims: { sub: '*' } }
  const operators = buildOperators(
    { ann: { role: 'admin', proof: callerSettings.parse(job) }, bob: keyed('viewer', 'one') },
    (proofs) => buildIdentify(proofs, tools),
  )
  const claims = claimsAt(tools.clock.now(), { iss: issuer, aud: 'a', sub: 'ann' })
  const shown = (key: string) => ({ keys: [{ key: new Secret(key) }], keysAre: 'certain' as const })
  const right = await signToken(await makeSigningKey(), claims)
  expect(await operators.recognize(shown(right))).toBe('unverifiable')
  expect(await operators.recognize(shown('one'))).toMatchObject({ name: 'bob', role: 'viewer' })
  expect(await operators.recognize(shown('wrong'))).toBeUndefined()
})

test('a key that is shown beats where its operator stands, and a wrong one refuses', async () => {
  const { recognize } = build({
    ann: keyed('viewer', 'one'),
    root: { role: 'admin', proof: { kind: 'unix-peer', uid: 0 } },
  })
  expect(await recognize(peer(0))).toMatchObject({ name: 'root', role: 'admin' })
  expect(await recognize({ ...peer(0), keys: [{ key: new Secret('one') }] })).toMatchObject({
    name: 'ann',
    role: 'viewer',
  })
  expect(await recognize({ ...peer(0), keys: [{ key: new Secret('wrong') }] })).toBeUndefined()
  expect(await recognize({ ...peer(0), unreadable: true })).toBeUndefined()
})

test('without operators a socket has root and the user of Sallyport, and a TCP door nobody', async () => {
  expect(Object.keys(defaultOperators('127.0.0.1:1', 1000))).toEqual([])
  expect(build(defaultOperators('127.0.0.1:1', 1000)).isEmpty).toBe(true)
  const { recognize } = build(defaultOperators('unix:admin.sock', 1000))
  expect(await recognize(peer(1000))).toEqual({ name: 'uid-1000', proof: 'unix-peer', role: 'admin' })
  expect(await recognize(peer(0))).toMatchObject({ name: 'uid-0', role: 'admin' })
  for (const uid of [1001, 65534]) expect(await recognize(peer(uid))).toBeUndefined()
})

test('a token has the role whose claims it fits, the highest of them, and its name is the one it makes', async () => {
  const signer = await makeSigningKey()
  const tools = makeCallerTools({ file: jwksOf(signer) })
  const operator = (role: OperatorSettings['role'], team: string): OperatorSettings => ({
    role,
    proof: callerSettings.parse({
      kind: 'jwt',
      issuer: 'https://id.test',
      audience: 'sallyport-admin',
      jwks: { file: 'jwks.json' },
      claims: { teams: team },
      name: 'staff/{sub}',
    }),
  })
  const operators = { lookers: operator('viewer', 'all'), keepers: operator('admin', 'platform') }
  const { recognize } = buildOperators(operators, (proofs) => buildIdentify(proofs, tools))
  const ask = async (claims: object) => {
    const all = claimsAt(tools.clock.now(), { iss: 'https://id.test', aud: 'sallyport-admin', sub: 'ann', ...claims })
    return recognize({ keys: [{ key: new Secret(await signToken(signer, all)) }], keysAre: 'certain' })
  }
  expect(await ask({ teams: ['all'] })).toEqual({ name: 'staff/ann', proof: 'jwt', role: 'viewer' })
  expect(await ask({ teams: ['all', 'platform'] })).toEqual({ name: 'staff/ann', proof: 'jwt', role: 'admin' })
  expect(await ask({ teams: ['other'] })).toBeUndefined()
  expect(await ask({ teams: ['platform'], aud: 'sallyport' })).toBeUndefined()
  expect(await ask({ teams: ['platform'], exp: tools.clock.now() / 1000 - 61 })).toBeUndefined()
})
