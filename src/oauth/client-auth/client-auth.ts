import type { AuthorizationServer, ClientAuth } from 'oauth4webapi'
import type { Clock } from '../../core/clock.ts'
import { Problem } from '../../core/problem.ts'
import type { LongLived } from '../../core/secret.ts'
import type { Kind } from '../../forms/kind.ts'
import type { z } from '../../forms/zod.ts'
import type { References } from '../../secrets/reference.ts'
import type { ClientIdentity, LiveIdentity } from '../../wire/client-identity.ts'
import type { Slots } from '../client-secret.ts'
import type { BasicEncoding } from './secret-text.ts'

/** One way to show, in one request, who the client is. */
export interface Presentation {
  readonly authenticate: ClientAuth
  /** The long-lived secret that it is made with; absent where there is none. */
  readonly behind?: LongLived
  /** Called when it was accepted after the one before it had been refused. Returns what an operator should know. */
  accepted?(): string | undefined
}

/** What a client proves to an authorization server who it is with. */
export interface ClientProof {
  /**
   * Called for each request. The first is what is shown; each further one is for when the one before it was refused as
   * `invalid_client`. @throws Problem `credential-failed`
   */
  presentations(server: AuthorizationServer): readonly Presentation[] | Promise<readonly Presentation[]>
  /** Grows when what is behind it changes, so that a lasting failure is forgotten. */
  version(): number
  /**
   * What is shown on the connection to the token endpoint: the same object as long as it is the same. Absent: nothing is.
   * @throws Problem `credential-failed`
   */
  identity?(): ClientIdentity
}

/** What every way is built with. */
export interface ClientAuthTools extends References {
  readonly clock: Clock
  readonly clientId: string
  readonly basicEncoding: BasicEncoding
  /** What `clientSecret` refers to; the schema sees to it that it is there for the ways that show one. */
  readonly clientSecret: Slots | undefined
}

/** One way of client authentication: one file, one line in the registry. */
export interface ClientAuthKind<S extends z.ZodObject> extends Kind<S, ClientAuthTools, ClientProof> {
  /** Whether it shows `clientSecret`; a secret that nobody shows is refused as a mistake. */
  readonly showsSecret: boolean
}

/** The certificate and key that a way is made with. @throws Problem `credential-failed`, which lasts */
export function identityOf(pair: LiveIdentity): ClientIdentity {
  try {
    return pair.current()
  } catch (error) {
    throw new Problem('credential-failed', { reason: error instanceof Error ? error.message : 'no certificate' })
  }
}
