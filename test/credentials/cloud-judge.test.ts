import { createHash, generateKeyPairSync, X509Certificate } from 'node:crypto'
import { ConfidentialClientApplication, type Configuration, type INetworkModule } from '@azure/msal-node'
import { IdentityPoolClient, JWT } from 'google-auth-library'
import { SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { buildSupply, sourceSettings } from '../../src/credentials/registry.ts'
import { createDialer } from '../../src/wire/dial.ts'
import { createResolver } from '../../src/wire/resolve.ts'
import { type Authority, makeAuthority } from '../support/certificates.ts'
import { type Clouds, startClouds } from '../support/clouds.ts'
import { makeRsaIdentity } from '../support/rsa-identity.ts'
import { loopback, makeSourceTools } from '../support/source-tools.ts'

/** The clients of Google and Microsoft, by the names that they have built in: what they are given we have to be given too. */
const pem = () =>
  generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' })
const robot = { email: 'robot@p.iam.gserviceaccount.com', kid: 'k-1', key: pem() }
const AUDIENCE = '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/k8s'
const cluster = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
const CLUSTER = { issuer: 'https://cluster.test', key: cluster.export({ type: 'pkcs8', format: 'pem' }) }
const TENANT = 'a1b2c3d4-0000-4000-8000-000000000001'
const CLIENT = 'b1b2c3d4-0000-4000-8000-000000000002'
const SCOPE = 'https://api.test/.default'
const SECRET = 'LT_CANARY'
const SUBJECT = 'system:serviceaccount:crm:app'
const certificate = await makeRsaIdentity()

let authority: Authority
let clouds: Clouds

beforeAll(async () => {
  authority = await makeAuthority()
  clouds = await startClouds(authority, {
    robot,
    pool: { audience: AUDIENCE, ...CLUSTER },
    app: {
      tenant: TENANT,
      clientId: CLIENT,
      secret: SECRET,
      thumbprint: thumbprint().toString('base64url'),
      key: certificate.key,
      federated: { subject: SUBJECT, ...CLUSTER },
    },
  })
})

afterAll(() => clouds?.stop())

function thumbprint(): Buffer {
  return createHash('sha256').update(new X509Certificate(certificate.cert).raw).digest()
}

/** What the platform writes for its workload. */
function workloadToken(audience: string): Promise<string> {
  const jwt = new SignJWT({ iss: CLUSTER.issuer, sub: SUBJECT, aud: audience }).setProtectedHeader({ alg: 'RS256' })
  return jwt.setIssuedAt().setExpirationTime('10m').sign(cluster)
}

/** A source with the endpoints that it has by itself. */
function source(settings: object, secret: string) {
  const made = makeSourceTools({ secret })
  made.clock.jumpWall(Date.now() - made.clock.now())
  const hosts = ['oauth2', 'sts', 'iamcredentials'].map((name) => `${name}.googleapis.com`)
  const names = [...hosts, 'login.microsoftonline.com'].map((name) => [name, ['127.0.0.1']])
  const dialer = clouds.through(createDialer({ resolver: createResolver({ hosts: Object.fromEntries(names) }) }))
  const file = (reference: { readonly file: string }) =>
    reference.file === 'ca.pem' ? authority.certPem : certificate.cert
  const parsed = sourceSettings.parse({ tls: { ca: { file: 'ca.pem' } }, allowPrivate: loopback, ...settings })
  return buildSupply(parsed, { ...made.tools, dialer, file })
}

async function ours(settings: object, secret: string) {
  const from = clouds.requests.length
  const credential = await source(settings, secret).obtain()
  expect(credential?.secret.reveal()).toBe(clouds.issued.at(-1))
  return { requests: clouds.requests.slice(from), expiresAt: credential?.expiresAt ?? 0 }
}

async function theirs(token: () => Promise<string | null | undefined>) {
  const from = clouds.requests.length
  expect(await token()).toBe(clouds.issued.at(-1))
  return clouds.requests.slice(from)
}

/** What was signed, without what is another each time. */
function lasting(requests: Clouds['requests']) {
  return requests.map(({ signed }) => {
    const { iat: _iat, exp: _exp, nbf: _nbf, jti: _jti, ...claims } = signed?.claims ?? {}
    return claims
  })
}

const trusting = {
  transporterOptions: {
    fetchImplementation: (url: string | URL | Request, init?: object) =>
      clouds.fetch(url instanceof Request ? url.url : url, init),
  },
}

describe('Google', () => {
  test('takes a service account of its own client and ours alike', async () => {
    const scopes = ['https://www.googleapis.com/auth/devstorage.read_only']
    const client = new JWT({
      email: robot.email,
      key: robot.key,
      keyId: robot.kid,
      scopes,
      subject: 'ann@p.test',
      ...trusting,
    })
    const first = await theirs(async () => (await client.getAccessToken()).token)
    const file = JSON.stringify({
      type: 'service_account',
      private_key_id: robot.kid,
      private_key: robot.key,
      client_email: robot.email,
      token_uri: 'https://oauth2.googleapis.com/token',
    })
    const settings = {
      kind: 'jwt-bearer',
      serviceAccount: { file: 'robot.json' },
      tokenEndpoint: 'https://oauth2.googleapis.com/token',
      assertion: { scope: scopes[0], subject: 'ann@p.test' },
    }
    const second = await ours(settings, file)
    expect(lasting(second.requests)).toEqual(lasting(first))
    expect(second.requests[0]?.signed?.header).toMatchObject(first[0]?.signed?.header ?? { nothing: 'signed' })
    expect(Object.keys(second.requests[0]?.said ?? {}).toSorted()).toEqual(Object.keys(first[0]?.said ?? {}).toSorted())
    expect(Math.abs(second.expiresAt - (client.credentials.expiry_date ?? 0))).toBeLessThan(5_000)
  })

  test.each([undefined, robot.email])(
    'exchanges a workload’s token for its own client and ours alike, and %s is impersonated',
    async (serviceAccount) => {
      const subject = await workloadToken(`https:${AUDIENCE}`)
      const url = `https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/${serviceAccount}:generateAccessToken`
      const client = new IdentityPoolClient({
        type: 'external_account',
        audience: AUDIENCE,
        subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
        token_url: 'https://sts.googleapis.com/v1/token',
        subject_token_supplier: { getSubjectToken: async () => subject },
        ...(serviceAccount !== undefined && { service_account_impersonation_url: url }),
        ...trusting,
      })
      // Its exchange takes no transporter, and would ask for the real one.
      Object.assign(Reflect.get(client, 'stsCredential'), { transporter: client.transporter })
      const first = await theirs(async () => (await client.getAccessToken()).token)
      const settings = { kind: 'google-wif', audience: AUDIENCE, subject: { from: 'file', token: { file: 't' } } }
      const second = await ours({ ...settings, ...(serviceAccount !== undefined && { serviceAccount }) }, subject)
      expect(second.requests.map(({ to, said }) => ({ to, said }))).toEqual(first.map(({ to, said }) => ({ to, said })))
    },
  )

  test('gives neither a token for what another key has signed', async () => {
    const client = new JWT({ email: robot.email, key: pem(), keyId: robot.kid, scopes: ['a'], ...trusting })
    await expect(client.getAccessToken()).rejects.toThrow(/invalid_grant/)
    const settings = { kind: 'google-wif', audience: AUDIENCE, subject: { from: 'file', token: { file: 't' } } }
    const forged = await workloadToken('https://elsewhere.test')
    await expect(source(settings, forged).obtain()).rejects.toMatchObject({
      reason: expect.stringMatching(
        /^sts\.googleapis\.com answered 400 invalid_grant: what is exchanged was not taken/,
      ),
    })
  })
})

describe('Entra', () => {
  const network: INetworkModule = {
    sendGetRequestAsync: async (url, options) => told(await clouds.fetch(url, { headers: options?.headers })),
    sendPostRequestAsync: async (url, options) =>
      told(await clouds.fetch(url, { method: 'POST', headers: options?.headers, body: options?.body })),
  }

  async function told(response: Response) {
    // What it is told is judged by the client itself.
    return {
      status: response.status,
      headers: Object.fromEntries(response.headers),
      body: JSON.parse(await response.text()),
    }
  }

  function msal(auth: Partial<Configuration['auth']>) {
    const place = { clientId: CLIENT, authority: `https://login.microsoftonline.com/${TENANT}` }
    const client = new ConfidentialClientApplication({
      auth: { ...place, ...auth },
      system: { networkClient: network },
    })
    return async () => (await client.acquireTokenByClientCredential({ scopes: [SCOPE] }))?.accessToken
  }

  const entra = (more: object) => ({ kind: 'entra', tenant: TENANT, clientId: CLIENT, scope: SCOPE, ...more })

  test('takes a secret of its own client and ours alike', async () => {
    const first = await theirs(msal({ clientSecret: SECRET }))
    const { requests } = await ours(entra({ clientSecret: { file: 's' } }), SECRET)
    expect(first[0]?.said).toMatchObject(requests[0]?.said ?? { nothing: 'asked' })
  })

  test('takes a certificate of its own client and ours alike', async () => {
    const thumbprintSha256 = thumbprint().toString('hex')
    const first = await theirs(msal({ clientCertificate: { thumbprintSha256, privateKey: certificate.key } }))
    const { requests } = await ours(
      entra({ certificate: { file: 'app.pem' }, key: { file: 'app.key' } }),
      certificate.key,
    )
    expect(lasting(requests)).toEqual(lasting(first))
    expect(requests[0]?.signed?.header).toMatchObject({ alg: 'PS256', 'x5t#S256': thumbprint().toString('base64url') })
    expect(first[0]?.signed?.header).toMatchObject({ alg: 'PS256', 'x5t#S256': thumbprint().toString('base64url') })
    const { client_assertion: _own, ...rest } = requests[0]?.said ?? {}
    expect(first[0]?.said).toMatchObject(rest)
  })

  test('takes another issuer’s token of its own client and ours alike', async () => {
    const token = await workloadToken('api://AzureADTokenExchange')
    const first = await theirs(msal({ clientAssertion: token }))
    const { requests } = await ours(entra({ assertion: { file: 'token' } }), token)
    expect(first[0]?.said).toMatchObject(requests[0]?.said ?? { nothing: 'asked' })
  })

  test('gives neither a token for a wrong secret', async () => {
    await expect(msal({ clientSecret: 'wrong' })()).rejects.toThrow(/invalid_client/)
    await expect(source(entra({ clientSecret: { file: 's' } }), 'wrong').obtain()).rejects.toMatchObject({
      reason: expect.stringMatching(/^login.microsoftonline.com answered 401 invalid_client, AADSTS700027/),
    })
  })
})
