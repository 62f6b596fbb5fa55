import { dirname } from 'node:path'
import type { CertificateAuthority } from './ca/authority.ts'
import type { Gate } from './gate/gate.ts'
import type { Site } from './keeping.ts'
import type { Door } from './listeners/door.ts'
import { buildDoor } from './listeners/registry.ts'
import type { Settings } from './settings/schema.ts'
import { describe } from './telemetry/logger.ts'
import type { Metrics } from './telemetry/metrics.ts'
import { Crowd } from './wire/crowd.ts'
import { descriptorLimit } from './wire/descriptor-limit.ts'
import type { OwnListeners } from './wire/own-listeners.ts'
import type { PassedSockets } from './wire/passed-sockets.ts'
import { createPeerReader, type PeerReader } from './wire/peer.ts'
import { createTcpOwnerReader, type TcpOwnerReader } from './wire/tcp-owner.ts'

interface Parts {
  readonly gate: Gate
  /** Absent where nothing is intercepted. */
  readonly authority: CertificateAuthority | undefined
  readonly metrics: Pick<Metrics, 'socketsRefused'>
  readonly passed: PassedSockets
}

/** Builds every door of the settings. None of them is open yet. @throws Error in words */
export function buildDoors({ loaded, log, references }: Site, { metrics, ...parts }: Parts): readonly Door[] {
  const { settings, file } = loaded
  const tools = {
    ...parts,
    log,
    references,
    crowd: new Crowd(socketsOfAllDoors(descriptorLimit())),
    onCrowded: (door: string) => metrics.socketsRefused.inc({ door }),
    peers: peerReaderFor(settings),
    owners: ownerReaderFor(settings, log),
    asksForCertificates: Object.values(settings.callers).some(({ kind }) => kind === 'spiffe'),
    directory: dirname(file),
  }
  return settings.listeners.map((one) => buildDoor(one, tools))
}

/** Opens them in the order of the settings; `own` learns where they are. @throws ListenError */
export async function openDoors(
  doors: readonly Door[],
  own: OwnListeners,
): Promise<readonly { readonly kind: string; readonly address: string }[]> {
  const listeners: { kind: string; address: string }[] = []
  for (const door of doors) {
    const address = await door.open()
    own.add(address)
    listeners.push({ kind: door.kind, address })
  }
  return listeners
}

/** Not all at once: files, the store and the admin door need some. */
const DESCRIPTORS_OF_OUR_OWN = 64

/** What comes in at a door may need a socket to an upstream, too. */
function socketsOfAllDoors(limit: number | undefined): number {
  return limit === undefined ? Number.POSITIVE_INFINITY : Math.max(2, Math.floor((limit - DESCRIPTORS_OF_OUR_OWN) / 2))
}

/** Asked at every socket that it can say something about: a uid is counted by its own failures. Needed for unix-peer alone. */
function peerReaderFor({ callers, listeners }: Settings): PeerReader | undefined {
  if (Object.values(callers).some(({ kind }) => kind === 'unix-peer')) return createPeerReader()
  if (!listeners.some(({ listen }) => listen.startsWith('unix:'))) return undefined
  try {
    return createPeerReader()
  } catch {
    return undefined
  }
}

/** Without it all of loopback, and all that is redirected, is counted as one. */
function ownerReaderFor({ listeners }: Settings, log: Site['log']): TcpOwnerReader | undefined {
  if (listeners.every(({ listen }) => listen.startsWith('unix:'))) return undefined
  try {
    return createTcpOwnerReader()
  } catch (error) {
    log.debug({ error: describe(error) }, 'users of this machine are not told apart on TCP')
    return undefined
  }
}
