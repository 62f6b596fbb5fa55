import { afterAll, beforeAll, expect, test } from 'vitest'
import { authority } from '../stories/crm.ts'
import { type RunningAuthorizationServer, startAuthorizationServer } from '../support/authorization-server.ts'
import { makeAuthority } from '../support/certificates.ts'
import { freePort } from '../support/ports.ts'
import { type QuirkIssuer, startQuirkIssuer, tokenAnswer } from '../support/quirk-issuer.ts'
import { writeSecret } from '../support/sallyport.ts'
import { examined, settingsFor } from './doctoring.ts'

const SECRET = 'client-secret-of-the-test'

let issuer: RunningAuthorizationServer
let quirks: QuirkIssuer

beforeAll(async () => {
  issuer = await startAuthorizationServer({ authority, clients: [{ id: 'crm', secret: SECRET }], lifetime: 600 })
  quirks = await startQuirkIssuer(await authority.issue(['login.test']))
})

afterAll(() => Promise.all([issuer.stop(), quirks.stop()]))

/** What the doctor says of a connection whose tokens come from there. */
async function examinedWith(credential: object, secret = SECRET) {
  const { config, directory } = settingsFor(
    await freePort(),
    {
      listeners: [{ kind: 'forward', listen: '127.0.0.1:0' }],
      admin: undefined,
      dns: { hosts: { 'login.test': ['127.0.0.1'], 'api.crm.test': ['127.0.0.1'] } },
    },
    {
      credential: {
        kind: 'client-credentials',
        clientId: 'crm',
        clientSecret: { file: 'client' },
        tls: { ca: { file: 'ca.pem' } },
        allowPrivate: ['127.0.0.0/8'],
        ...credential,
      },
    },
  )
  writeSecret(directory, 'client', secret)
  writeSecret(directory, 'stranger.pem', (await makeAuthority()).certPem)
  const { text, findings } = await examined(config)
  expect(text).not.toContain(secret)
  return findings.filter(({ check }) => check === 'issuers')
}

test.each(['tokenEndpoint', 'issuer'] as const)(
  'a token is minted by way of %s, and the clocks are compared',
  async (by) => {
    const told = await examinedWith({ [by]: issuer[by] })
    expect(told).toMatchObject([
      {
        state: 'ok',
        subject: `crm login.test:${issuer.port}`,
        says: expect.stringMatching(/^a token for (?:599|600) s$/),
      },
      {
        state: 'ok',
        says: expect.stringMatching(/^the clock of this machine is [012] s (?:ahead of|behind) login\.test:/),
      },
    ])
  },
)

test('a secret that the issuer does not accept', async () => {
  const [token] = await examinedWith({ tokenEndpoint: issuer.tokenEndpoint }, 'another-secret')
  expect(token).toMatchObject({
    state: 'failed',
    says: expect.stringContaining(`login.test:${issuer.port} answered 401 invalid_client: compare clientId,`),
    remedy:
      'compare clientId, clientSecret, clientAuth, scope and tokenParams of connections.crm.credential with what login.test has registered',
  })
})

test('a secret that cannot be sent is ours to mend, and its place is named', async () => {
  const [token] = await examinedWith({ tokenEndpoint: issuer.tokenEndpoint }, 'two\nlines')
  expect(token).toMatchObject({
    state: 'failed',
    says: expect.stringMatching(/^the client secret of file:client has a line end or another character/),
    remedy: 'write the secret alone',
  })
})

test.each([
  [
    'that nobody runs',
    async () => ({ tokenEndpoint: `https://login.test:${await freePort()}/token` }),
    'start login.test',
  ],
  [
    'of another authority',
    async () => ({ tokenEndpoint: issuer.tokenEndpoint, tls: { ca: { file: 'stranger.pem' } } }),
    'the authority in stranger.pem is not the one that signed its certificate',
  ],
  [
    'at an address that was not allowed',
    async () => ({ tokenEndpoint: issuer.tokenEndpoint, allowPrivate: [] }),
    'connections.crm.credential: allowPrivate',
  ],
])('an issuer %s has the remedy of its dial, and no clock', async (_, credential, remedy) => {
  const [token, clock] = await examinedWith(await credential())
  expect(token).toMatchObject({ state: 'failed', remedy: expect.stringContaining(remedy) })
  expect(clock).toMatchObject({ state: 'skipped', says: 'no answer that its clock could be read from' })
})

test('an issuer that fails just now', async () => {
  quirks.answer({ status: 503 })
  const [token] = await examinedWith({ tokenEndpoint: `https://login.test:${quirks.port}/token` })
  expect(token).toMatchObject({ state: 'failed', remedy: expect.stringMatching(/^try again: login\.test /) })
})

test.each([
  [20, 'ok', /^the clock of this machine is (?:19|2\d) s ahead of login\.test:/],
  [120, 'warning', /^the clock of this machine is 1[12]\d s ahead of login\.test:/],
  [3600, 'failed', /^the clock of this machine is 3[56]\d\d s ahead of login\.test:/],
  [-3600, 'failed', /^the clock of this machine is 3[56]\d\d s behind login\.test:/],
])('an issuer whose clock is behind ours by %i s: %s', async (seconds, state, says) => {
  quirks.answer(() => {
    const { headers, ...rest } = tokenAnswer()
    return { ...rest, headers: { ...headers, date: new Date(Date.now() - seconds * 1000).toUTCString() } }
  })
  const [, clock] = await examinedWith({ tokenEndpoint: `https://login.test:${quirks.port}/token` })
  expect(clock).toMatchObject({ state, says: expect.stringMatching(says) })
  expect(clock?.remedy).toEqual(state === 'ok' ? undefined : expect.stringContaining('NTP'))
})

test('the question for the time shows no proof', async () => {
  quirks.answer(tokenAnswer())
  const before = quirks.requests.length
  await examinedWith({ tokenEndpoint: `https://login.test:${quirks.port}/token` })
  const asked = quirks.requests.slice(before).find(({ method }) => method === 'GET')
  expect(asked?.target).toBe('/token')
  expect(asked?.rawHeaders.join().toLowerCase()).not.toContain('authorization')
  expect(asked?.body).toBe('')
})
