import { expect, test } from 'vitest'
import { buildSupply, sourceSettings } from '../../src/credentials/registry.ts'
import { purposeWith, purposeWithout, tokenWith } from '../support/purpose.ts'
import { makeSourceTools } from '../support/source-tools.ts'

function build() {
  const made = makeSourceTools({ secret: '' })
  const settings = sourceSettings.parse({ kind: 'passthrough-obo', audience: ['api', 'app'] })
  const exp = made.clock.now() / 1000 + 600
  return { ...made, exp, supply: buildSupply(settings, made.tools) }
}

test.each([
  ['the one audience', { aud: 'api' }],
  ['one of several', { aud: ['sallyport', 'api'] }],
  ['the client it was issued to', { aud: 'sallyport', azp: 'app' }],
])('the caller’s own token goes on where %s fits', async (_what, claims) => {
  const { supply, exp } = build()
  const whole = { ...claims, exp }
  const credential = await supply.obtain(purposeWith({ claims: whole }))
  expect(credential?.secret.reveal()).toBe(tokenWith(whole))
  expect(credential).toMatchObject({ expiresAt: exp * 1000, lineage: { subject: { name: 'caller' } } })
})

test.each([
  ['was meant for Sallyport alone', { aud: 'sallyport' }, 'is not meant for the upstream'],
  ['was meant for nobody', {}, 'is not meant for the upstream'],
  ['has an audience that is no text', { aud: { api: 'api' } }, 'is not meant for the upstream'],
  ['begins like one', { aud: 'api.example' }, 'is not meant for the upstream'],
  ['has expired', { aud: 'api', exp: 1 }, 'has expired, or never does'],
  ['never expires', { aud: 'api', exp: undefined }, 'has expired, or never does'],
])('a token that %s goes no further', async (_what, claims, reason) => {
  const { supply, exp } = build()
  await expect(supply.obtain(purposeWith({ claims: { exp, ...claims } }))).rejects.toMatchObject({
    code: 'identity-missing',
    reason: expect.stringContaining(reason),
  })
})

test('a key is no token to pass on', async () => {
  await expect(build().supply.obtain(purposeWithout())).rejects.toMatchObject({
    code: 'identity-missing',
    reason: expect.stringContaining('checkout has proved itself by api-key, which is no token'),
  })
})

test('two tokens are two credentials, and one that the upstream rejects has nothing in its place', async () => {
  const { supply, exp, clock } = build()
  const [ann, bob] = ['ann', 'bob'].map((sub) => purposeWith({ claims: { aud: 'api', sub, exp } }))
  const first = await supply.obtain(ann)
  const second = await supply.obtain(bob)
  expect(first?.secret.reveal()).not.toBe(second?.secret.reveal())
  expect(supply.state().separate).toBe(2)
  expect(first && (await supply.rejected(first, ann))).toBeUndefined()
  clock.advance(600_000)
  await expect(supply.obtain(ann)).rejects.toMatchObject({ code: 'identity-missing' })
})
