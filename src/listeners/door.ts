import type { CertificateAuthority } from '../ca/authority.ts'
import type { Ask, Evidence, Fields } from '../core/ask.ts'
import type { Unfold } from '../gate/enclosed.ts'
import type { Gate } from '../gate/gate.ts'
import type { References } from '../secrets/reference.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Crowd } from '../wire/crowd.ts'
import type { Fault } from '../wire/framing.ts'
import type { PassedSockets } from '../wire/passed-sockets.ts'
import type { PeerReader } from '../wire/peer.ts'
import type { Challenge } from '../wire/refusal.ts'
import type { TcpOwnerReader } from '../wire/tcp-owner.ts'
import type { Line } from './line.ts'

/** What a door is built with. */
export interface DoorTools {
  readonly gate: Gate
  readonly log: Logger
  /** Present where a caller is known by its uid or gid. */
  readonly peers: PeerReader | undefined
  /** Present where the kernel says whose a TCP socket of this machine is: to count by, and no proof. */
  readonly owners: TcpOwnerReader | undefined
  /** Present where tunnels may be opened. */
  readonly authority: CertificateAuthority | undefined
  /** Where the certificates of TLS doors come from. */
  readonly references: References
  /** Whether there are callers that certificates may prove without the `clientCa` of a door, as SPIFFE's do. */
  readonly asksForCertificates: boolean
  /** Everybody at all doors together. */
  readonly crowd: Crowd
  /** A socket was closed because there were too many at a door of this kind. */
  onCrowded(kind: string): void
  /** Relative socket paths start here. */
  readonly directory: string
  /** What systemd has opened for this process. */
  readonly passed?: PassedSockets | undefined
}

/** A door that can be opened once. */
export interface Door {
  readonly kind: string
  /** Binds; returns the address in the form `host:port` or `unix:path`. */
  open(): Promise<string>
  readonly openSockets: number
  /** Stops taking in, lets what is in flight finish until the deadline, then cuts what is left. Idempotent. */
  close(deadlineMs: number): Promise<void>
}

/** A request head as a door reads it. */
export interface Head {
  readonly method: string
  readonly target: string
  readonly fields: readonly string[]
  /** The connection it came on. */
  readonly line: Pick<Line, 'peer' | 'address' | 'certificate' | 'evidence' | 'original' | 'proof' | 'tunnel'>
}

/** What of an ask depends on the door's form of request target and place of proof. */
export interface Reading extends Pick<Ask, 'target' | 'path' | 'query' | 'evidence'> {
  /** Without those that this door takes away; absent: as they came. */
  readonly fields?: Fields
  /** Present where the body says what is asked for. */
  readonly unfold?: Unfold
}

/** How one kind of HTTP door reads requests. Pure; called for every one. */
export interface Reader {
  readonly challenge: Challenge
  read(head: Head): Reading | Fault
  /** What the caller shows of itself, where there is no more than a head to look at. */
  evidence(fields: readonly string[], line: Head['line']): Evidence
}
