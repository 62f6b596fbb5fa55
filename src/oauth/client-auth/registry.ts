import { buildKind, kindUnion } from '../../forms/kind.ts'
import { z } from '../../forms/zod.ts'
import { body } from './body.ts'
import type { ClientAuthTools, ClientProof } from './client-auth.ts'
import { header } from './header.ts'
import { headerAndBody } from './header-and-body.ts'
import { mtls } from './mtls.ts'
import { none } from './none.ts'
import { privateKeyJwt } from './private-key-jwt.ts'
import { workloadJwt } from './workload-jwt.ts'

/** Every way for a client to prove to an authorization server who it is. */
export const clientAuthKinds = {
  header,
  body,
  'header-and-body': headerAndBody,
  none,
  'private-key-jwt': privateKeyJwt,
  'workload-jwt': workloadJwt,
  mtls,
}

type Kinds = typeof clientAuthKinds
type Name = keyof Kinds
type Bare = { [N in Name]: keyof z.infer<Kinds[N]['schema']> extends 'kind' ? N : never }[Name]
// Object.keys has forgotten the names of the keys.
const names = Object.keys(clientAuthKinds) as Name[]
/** Those that have nothing more to say: their name is enough. */
const bare = names.filter((name): name is Bare => Object.keys(clientAuthKinds[name].schema.shape).length === 1)

/** Settings of client authentication: `{ kind: header }`, or `header` for short. */
export const clientAuthSettings = z
  .union([z.enum(bare as [Bare, ...Bare[]]), kindUnion(clientAuthKinds, 'ClientAuth')])
  .transform((settings) => (typeof settings === 'string' ? { kind: settings } : settings))

export type ClientAuthSettings = z.infer<typeof clientAuthSettings>

/** Whether this way shows the client secret. */
export function showsSecret({ kind }: ClientAuthSettings): boolean {
  return clientAuthKinds[kind].showsSecret
}

/** Builds what the settings describe. */
export function buildClientProof(settings: ClientAuthSettings, tools: ClientAuthTools): ClientProof {
  return buildKind<ClientAuthTools, ClientProof>(clientAuthKinds, settings, tools)
}
