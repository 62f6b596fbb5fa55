import type { Evidence, Peer } from '../core/ask.ts'
import type { ClientCertificate } from '../core/certificate.ts'
import type { SocketPlace } from '../wire/original-destination.ts'
import type { HttpAnswer } from './http-answer.ts'
import type { ShownKeys } from './keys.ts'

/** What a door knows of one caller's connection. */
export interface Line {
  readonly peer: Peer | undefined
  /** The address at its other end; undefined on a Unix socket. */
  readonly address: string | undefined
  /** What the client showed in the TLS handshake of the door. */
  readonly certificate?: ClientCertificate | undefined
  /** Who asks, whatever is asked on it: where the door alone says so. */
  readonly evidence?: Evidence | undefined
  /** Where it was going before it was redirected here. */
  readonly original?: SocketPlace | undefined
  /** To the latest request. Earlier ones may still be waiting for theirs, because callers may pipeline. */
  answer: HttpAnswer | undefined
  /** The latest proof as it was read: clients send the same one with every request. What it proves is judged each time. */
  proof: { readonly text: string; readonly shown: ShownKeys } | undefined
  /** The parser has given up on it. */
  isUnreadable: boolean
  /** Of a connection within a tunnel that we have opened. */
  readonly tunnel?: Tunnel
}

/** What is settled for everything that comes through an opened tunnel. */
export interface Tunnel {
  /** Canonical, as CONNECT named it. */
  readonly host: string
  readonly port: number
  readonly scheme: 'http' | 'https'
  /** Shown with the CONNECT, and judged anew at each request. */
  readonly evidence: Evidence
  /** Called with each request head. */
  entered(): void
}

/** A connection on which nothing was asked yet. */
export function newLine(
  from: Partial<Omit<Line, 'answer' | 'proof' | 'isUnreadable' | 'tunnel'>>,
  tunnel?: Tunnel,
): Line {
  const { peer, address, certificate, evidence, original } = from
  return {
    peer,
    address,
    certificate,
    evidence,
    original,
    answer: undefined,
    proof: undefined,
    isUnreadable: false,
    ...(tunnel && { tunnel }),
  }
}
