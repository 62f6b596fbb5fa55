/**
 * What happened to one ask: built from what ran, written once, also when we failed. Identities are never cut short, the
 * query is never written, and no secret is ever in here. Times in ms, sizes in bytes.
 */
export interface Entry {
  /** ISO 8601, when the ask had arrived. */
  readonly time: string
  readonly id: string
  readonly door: string
  readonly method: string
  readonly host: string | undefined
  /** Absent where the caller named none. */
  readonly port: number | undefined
  /** Without the query. */
  readonly path: string | undefined
  readonly caller: string | undefined
  /** How the caller proved itself: the kind of its method. */
  readonly proof: string | undefined
  /** What the proof says the caller belongs to, and is limited to: by it a decision can be made again. */
  readonly groups: readonly string[] | undefined
  readonly scopes: readonly string[] | undefined
  /** pid of the calling process, where the kernel named it. A clue, not a proof: pids are reused. */
  readonly pid: number | undefined
  /** Where the app itself was connecting to, at a transparent door: `address:port`. We dial `host`, wherever that is for us. */
  readonly originalDestination: string | undefined
  /** What else the proof says of the caller: pod, node, issuer. */
  readonly details: Readonly<Record<string, string>> | undefined
  readonly connection: string | undefined
  readonly grant: string | undefined
  readonly rule: number | undefined
  readonly decision: 'permit' | 'refuse'
  /** What report mode has let through: the code by which it would have been refused. */
  readonly wouldRefuse: string | undefined
  /** Of a CONNECT: whether we read what is in it, request by request, or pass it on unread. */
  readonly tunnel: 'opened' | 'unopened' | undefined
  /** Why not, in words, where there is anything to say. */
  readonly reason: string | undefined
  /** The code of the problem that the caller was answered with, or that cut the answer short. */
  readonly code: string | undefined
  readonly status: number | undefined
  /** Whether the caller got all of the answer. */
  readonly ended: 'complete' | 'broken' | 'gone' | undefined
  readonly bytesIn: number
  readonly bytesOut: number
  readonly totalMs: number
  /** How long the ask waited for its credential; absent where a fresh one was there. */
  readonly mintMs: number | undefined
  readonly upstreamAddress: string | undefined
  /** How often the ask was sent again, after a 401 or a closed idle connection. */
  readonly resends: number
  readonly credential: CredentialUsed | undefined
  /** Our own span where there are traces, whether it is recorded or not; else the one that the caller names. */
  readonly traceId: string | undefined
  readonly spanId: string | undefined
}

/** Which credential was spent, told without telling it. */
export interface CredentialUsed {
  readonly source: string
  readonly version: string
  /** The first 16 hex digits of HMAC-SHA-256 under the audit's own key. */
  readonly fingerprint: string
  /** `NAME@VERSION` of the long-lived secret that it is, or was minted with. */
  readonly secret: string | undefined
  /** What it was given in exchange for: `caller@12ab34cd`, by the fingerprint of that token. */
  readonly subject?: string | undefined
  /** The client or principal that a claim of the caller has chosen. */
  readonly actsAs?: string | undefined
}
