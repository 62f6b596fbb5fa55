import { tmpdir } from 'node:os'
import type { Entry } from '../../src/audit/entry.ts'
import { buildRecognize } from '../../src/callers/recognize.ts'
import { buildIdentify } from '../../src/callers/registry.ts'
import { buildConnections, buildUnlisted } from '../../src/connections.ts'
import { toBlockList } from '../../src/forms/network.ts'
import type { Gate } from '../../src/gate/gate.ts'
import type { Snapshot } from '../../src/gate/snapshot.ts'
import { UnderWay } from '../../src/gate/under-way.ts'
import { buildDoor } from '../../src/listeners/registry.ts'
import { compilePolicy } from '../../src/settings/policy.ts'
import { settingsSchema } from '../../src/settings/schema.ts'
import { createLogger } from '../../src/telemetry/logger.ts'
import { createMetrics } from '../../src/telemetry/metrics.ts'
import { NOTHING_READ } from '../../src/telemetry/readings.ts'
import { Crowd } from '../../src/wire/crowd.ts'
import { createDialer, type Destination } from '../../src/wire/dial.ts'
import { createResolver } from '../../src/wire/resolve.ts'
import { systemClock } from '../../src/wire/system-clock.ts'
import { References } from './references.ts'

/** A door on settings of its own. Report mode lets out to public addresses alone, and a test has none. */
export interface RelaxedHouse {
  readonly address: string
  readonly entries: readonly Entry[]
  /** What nobody foresaw. */
  readonly faults: readonly unknown[]
  close(): Promise<void>
}

/** Opens a forward door whose dialer takes loopback for a public address; every secret that the settings name is `secret`. */
export async function openRelaxedHouse(given: object, secret: string): Promise<RelaxedHouse> {
  const settings = settingsSchema.parse({ listeners: [{ kind: 'forward', listen: '127.0.0.1:0' }], ...given })
  const references = new References(secret)
  const log = createLogger('silent')
  const metrics = createMetrics(NOTHING_READ)
  const strict = createDialer({ resolver: createResolver({ hosts: settings.dns.hosts }) })
  const relaxed = (to: Destination) => ({ ...to, allowPrivate: toBlockList(['127.0.0.0/8']) })
  const dialer: Gate['dialer'] = {
    dial: (to, signal) => strict.dial(relaxed(to), signal),
    connector: (to) => strict.connector(relaxed(to)),
    isOwnSocket: strict.isOwnSocket,
  }
  const entries: Entry[] = []
  const faults: unknown[] = []
  const tools = {
    references,
    clock: systemClock,
    metrics,
    log,
    dialer,
    ending: new AbortController().signal,
    isDisabled: () => false,
  }
  const identify = buildIdentify(settings.callers, {
    references,
    clock: systemClock,
    dialer,
    onFault: (reason) => faults.push(reason),
  })
  const connections = buildConnections(settings.connections, tools)
  const unlisted = buildUnlisted(tools)
  const recognize = buildRecognize(identify, settings.callers)
  const snapshot: Snapshot = { policy: compilePolicy(settings), identify, recognize, connections, unlisted }
  const gate: Gate = {
    clock: systemClock,
    dialer,
    pseudonym: 'relaxed',
    fingerprintKey: Buffer.alloc(32),
    snapshot: () => snapshot,
    underWay: new UnderWay({ clock: systemClock, snapshot: () => snapshot, onFault: (error) => faults.push(error) }),
    record: (entry) => entries.push(entry),
    unrecordable: () => undefined,
  }
  const [listener] = settings.listeners
  if (!listener) throw new Error('no door')
  const door = buildDoor(listener, {
    gate,
    log,
    references,
    asksForCertificates: false,
    peers: undefined,
    owners: undefined,
    crowd: new Crowd(100),
    onCrowded: () => undefined,
    authority: undefined,
    directory: tmpdir(),
  })
  return {
    address: await door.open(),
    entries,
    faults,
    async close() {
      await door.close(100)
      await Promise.all([...connections.values(), unlisted].map(({ upstream }) => upstream.destroy()))
    },
  }
}
