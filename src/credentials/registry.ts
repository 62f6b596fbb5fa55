import { buildKind, type Dialled, type DialledServer, kindUnion } from '../forms/kind.ts'
import type { z } from '../forms/zod.ts'
import type { EndpointSettings } from '../oauth/endpoint-settings.ts'
import { clientCredentials } from './client-credentials.ts'
import type { Supply } from './credential.ts'
import { entra } from './entra.ts'
import { tokenExchange } from './exchange/token-exchange.ts'
import { exec } from './exec/exec.ts'
import { githubApp } from './github/github-app.ts'
import { googleWif } from './google/google-wif.ts'
import { httpMint } from './http-mint/http-mint.ts'
import { jwtBearer } from './jwt-bearer.ts'
import { authorizationCode } from './login/authorization-code.ts'
import { refreshToken } from './login/refresh-token.ts'
import { none } from './none.ts'
import { passthroughObo } from './passthrough-obo.ts'
import { signedJwt } from './signed-jwt.ts'
import { staticSecret } from './static.ts'
import type { SourceKind, SourceNeeds, SourceTools } from './tools.ts'

/** Every place a credential can come from. */
export const sourceKinds = {
  static: staticSecret,
  none,
  'client-credentials': clientCredentials,
  'refresh-token': refreshToken,
  'authorization-code': authorizationCode,
  'token-exchange': tokenExchange,
  'jwt-bearer': jwtBearer,
  'google-wif': googleWif,
  'passthrough-obo': passthroughObo,
  entra,
  exec,
  'signed-jwt': signedJwt,
  'github-app': githubApp,
  'http-mint': httpMint,
}

/** Settings of one source. */
export const sourceSettings = kindUnion(sourceKinds, 'Credential')
export type SourceSettings = z.infer<typeof sourceSettings>

/** Those that ask a token endpoint. */
export type IssuerSettings = Pick<EndpointSettings, 'tokenEndpoint' | 'issuer' | 'tls' | 'allowPrivate' | 'timeoutMs'>

/** The settings of a source that asks a token endpoint; undefined where it asks none. */
export function issuerSettings(settings: SourceSettings): IssuerSettings | undefined {
  const kind: Pick<SourceKind<z.ZodObject>, 'endpoint'> = sourceKinds[settings.kind]
  return kind.endpoint?.(settings) ?? ('tokenParams' in settings ? settings : undefined)
}

/** The servers that a source asks by itself; what it asks through another connection is that one's. */
export function dialledBySource(settings: SourceSettings): Dialled {
  const kind: Pick<SourceKind<z.ZodObject>, 'dials'> = sourceKinds[settings.kind]
  const own = kind.dials?.(settings) ?? []
  return own === 'unknown' ? own : [...issuerServers(issuerSettings(settings)), ...own]
}

function issuerServers(settings: IssuerSettings | undefined): readonly DialledServer[] {
  if (!settings) return []
  const { tokenEndpoint, issuer = '', allowPrivate } = settings
  if (tokenEndpoint !== undefined) return [{ url: tokenEndpoint, what: 'token endpoint', allowPrivate }]
  return [{ url: issuer, what: 'issuer', allowPrivate, isSignpost: true }]
}

/** Whether its tokens are kept in the store, and are therefore nobody's to spend but the sidecar's. */
export function keepsTokens({ kind }: SourceSettings): boolean {
  const source: { readonly keepsTokens?: true } = sourceKinds[kind]
  return source.keepsTokens ?? false
}

/** What a source needs of the rest of the settings. */
export function needsOf(settings: SourceSettings): SourceNeeds {
  const kind: Pick<SourceKind<z.ZodObject>, 'needs'> = sourceKinds[settings.kind]
  return kind.needs?.(settings) ?? {}
}

/** Builds what the settings describe. Does no I/O: the first credential is fetched when the first ask needs it. */
export function buildSupply(settings: SourceSettings, tools: SourceTools): Supply {
  return buildKind<SourceTools, Supply>(sourceKinds, settings, tools)
}
