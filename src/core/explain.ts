import type { Caller } from './ask.ts'
import { decide, type Permit } from './decide.ts'
import { decidePassage, type Passage } from './passage.ts'
import type { Policy } from './policy.ts'
import { type Refusal, refuse } from './refusal.ts'
import type { Waiver } from './waiver.ts'

/** A URL that a caller would like to ask for, through a forward door. */
export interface Wish {
  readonly caller: Caller
  readonly scheme: 'http' | 'https'
  readonly host: string
  /** Undefined where the URL names none. */
  readonly port: number | undefined
  readonly path: string
  /** `CONNECT` asks for the tunnel alone. */
  readonly method: string
  /** ms since the epoch */
  readonly at: number
}

/** What would come of it. */
export interface Explanation {
  readonly decision: Permit | Waiver | Passage | Refusal
  /** For https:// clients ask for a tunnel first: whether we read what comes through it, or pass it on unread. */
  readonly tunnel: 'opened' | 'unopened' | undefined
}

const DEFAULT_PORTS = { http: 80, https: 443 } as const

/** The very decisions that a door would make, one after the other, on facts alone. */
export function explain(wish: Wish, policy: Policy): Explanation {
  const { scheme, port, method } = wish
  if (scheme === 'http' && method !== 'CONNECT') return { decision: judge(wish, port, policy), tunnel: undefined }
  const passage = decidePassage({ ...wish, port: port ?? DEFAULT_PORTS[scheme] }, policy)
  if (!passage.permitted) return { decision: passage, tunnel: undefined }
  if (passage.tls === 'pass') return { decision: passage, tunnel: 'unopened' }
  if (method === 'CONNECT') return { decision: passage, tunnel: 'opened' }
  if (passage.tls === 'refuse') return { decision: noTls(passage), tunnel: undefined }
  return { decision: judge(wish, passage.port, policy), tunnel: 'opened' }
}

function judge({ caller, scheme, host, path, method, at }: Wish, port: number | undefined, policy: Policy) {
  return decide(
    { caller, target: { kind: 'name', host, port, isSecure: scheme === 'https' }, method, path, at },
    policy,
  )
}

function noTls({ connection, host, port }: Passage): Refusal {
  return refuse('tunnel-unfit', `a tunnel to port ${port} of ${host} carries plain HTTP alone`, {
    ...(connection !== undefined && { connection }),
  })
}
