import type { Supply } from '../../../src/credentials/credential.ts'
import { unpacked } from '../../../src/credentials/login/content.ts'
import { buildSupply, sourceSettings } from '../../../src/credentials/registry.ts'
import type { Store } from '../../../src/store/store.ts'
import { Browser } from '../../support/browser.ts'
import type { Authority } from '../../support/certificates.ts'
import type { LoginServer } from '../../support/login-server.ts'
import { loopback, makeSourceTools, type TestTools } from '../../support/source-tools.ts'

export const SECRET = 'LT_CANARY'
const redirectUri = 'http://127.0.0.1:1/login/crm/callback'
const redirectUris = [redirectUri]

/** Clients of a real provider, and the settings of each. */
export const CLIENTS = [
  { id: 'public', redirectUris },
  { id: 'confidential', secret: SECRET, redirectUris },
]
export const PUBLIC = { clientId: 'public', clientAuth: 'none' }
export const CONFIDENTIAL = { clientId: 'confidential', clientSecret: { file: 'client' } }

/** What a connection to a provider is built on. */
export interface Ground {
  readonly authority: Authority
  readonly store: Store
  readonly server: LoginServer
}

/** A connection that acts for whoever logs in at `server`. */
export interface Built extends TestTools, Ground {
  readonly name: string
  readonly supply: Supply
}

let count = 0

/** With a name of its own. `secret`: what each file holds. */
export function buildAt(ground: Ground, settings: object, secret = SECRET): Built {
  count += 1
  const name = `crm-${count}`
  const made = makeSourceTools({ secret, ca: ground.authority.certPem, logins: ground.store.logins, name })
  made.clock.jumpWall(Date.now() - made.clock.now())
  const parsed = sourceSettings.parse({
    kind: 'authorization-code',
    issuer: ground.server.issuer,
    scope: 'openid offline_access read',
    tls: { ca: { file: 'ca.pem' } },
    allowPrivate: loopback,
    ...settings,
  })
  return { ...ground, ...made, name, supply: buildSupply(parsed, made.tools) }
}

/** Has ann consent, as a browser does it. */
export async function logIn({ supply: { desk }, authority }: Built): Promise<void> {
  if (!desk) throw new Error('nobody can log in')
  const { url } = await desk.begin({ caller: undefined, redirectUri, holder: 'ops' })
  const browser = new Browser(authority.certPem)
  const end = await browser.consent(await browser.visit(`${url}&prompt=consent`), 'ann', /^http:/)
  await desk.finish(end.url.searchParams, { holder: 'ops', by: 'ops' })
}

/** The refresh token in the store, or `none`. */
export async function keptToken({ name, store }: Built): Promise<string> {
  const kept = await store.logins.open({ connection: name, identity: 'shared' })
  return kept ? unpacked(kept.content).refreshToken.reveal() : 'none'
}
