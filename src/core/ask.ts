import type { Ceiling } from './ceiling.ts'
import type { ClientCertificate } from './certificate.ts'
import type { Secret } from './secret.ts'

/** Header fields as they stood on the wire: name, value, name, value; case, order and repeats kept. */
export type Fields = readonly string[]

/** Where the caller asked to go: a name (forward), or a connection by its name (reverse). */
export type Target =
  | {
      readonly kind: 'name'
      readonly host: string
      readonly port: number | undefined
      /** Asked for as `https:`, so never to be sent in the clear. */
      readonly isSecure?: boolean | undefined
    }
  | {
      readonly kind: 'connection'
      readonly name: string
      /**
       * As the caller called it, for answers that repeat that. Then nobody learns without a grant whether there is such a
       * connection.
       */
      readonly called?: string | undefined
      /** What stands before the name of its home, where another of its hosts is meant. */
      readonly subDomain?: string | undefined
    }

/**
 * One request as a door took it in; read-only from then on. `path` starts with "/", or is "" for the base path of its
 * connection itself; `query` is "" or starts with "?".
 */
export interface Ask {
  readonly id: string
  readonly door: string
  readonly method: string
  readonly target: Target
  readonly path: string
  readonly query: string
  readonly fields: Fields
  readonly evidence: Evidence
  /** The protocol that the caller wants to switch to, lower case, when it asks for one. */
  readonly upgrade?: string | undefined
}

/** What a caller shows of itself. Proofs are Secrets: they must not be printed either. */
export interface Evidence {
  /** The caller that whoever can open this door is, when the door says so. */
  readonly doorCaller?: string | undefined
  /** The address at the other end of a TCP connection; absent on a Unix socket. */
  readonly address?: string | undefined
  /** What the kernel says of the process at the other end of a Unix socket. */
  readonly peer?: Peer | undefined
  /** What the client showed at a TLS door; whether anybody vouches for it is for the caller methods to ask. */
  readonly certificate?: ClientCertificate | undefined
  /**
   * Where the connection was going before it was redirected here, as `address:port`. For the record alone: it is dialled
   * nowhere, and proves nothing.
   */
  readonly originalDestination?: string | undefined
  readonly keys: readonly PresentedKey[]
  /**
   * `certain`: the keys came in Proxy-Authorization and can only be meant for us, so a wrong one refuses.
   * `maybe`: they stood where the app puts the upstream's own key, and may be a placeholder.
   */
  readonly keysAre: 'certain' | 'maybe'
  /** A proof was shown that could not be read at all. */
  readonly unreadable?: boolean
}

/** uid and gid of the process that connected, as SO_PEERCRED gives them; pid is for the audit only, it is reused. */
export interface Peer {
  readonly pid: number
  readonly uid: number
  readonly gid: number
}

/** A key, and the caller name beside it where the scheme has room for one (Basic). */
export interface PresentedKey {
  readonly caller?: string | undefined
  readonly key: Secret
}

/** A token of the caller's own: its issuer, audience, signature and time were in order when it was shown. */
export interface ProvenToken {
  readonly secret: Secret
  readonly claims: ReadonlyMap<string, unknown>
}

/** Who asks, as proved by a method. */
export interface Caller {
  readonly name: string
  readonly method: string
  /** What the proof says it belongs to; a grant may name one of these. */
  readonly groups?: readonly string[] | undefined
  /** Its proof stood where the app puts the upstream's own key: it is ours, and goes no further. */
  readonly keyIsProof?: true | undefined
  /** How far its proof reaches, whatever was granted; absent: as far as the grants. */
  readonly scopes?: Ceiling | undefined
  /** The token that proved it, for a source that exchanges it. Its claims have been verified. */
  readonly token?: ProvenToken | undefined
  /** What else the proof says, for the record alone: pod, node, issuer. Nothing is decided by it. */
  readonly details?: Readonly<Record<string, string>> | undefined
}
