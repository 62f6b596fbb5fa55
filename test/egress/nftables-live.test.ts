import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { egressOf } from '../../src/egress/egress.ts'
import { nftRuleset } from '../../src/egress/nftables.ts'
import type { Users } from '../../src/egress/redirect.ts'
import { pathOf } from '../support/debian.ts'
import { canMakeNetworks, makeNetworks, type Networks } from '../support/networks.ts'
import { probe, startServers, type Try } from '../support/probes.ts'
import { privateDirectory } from '../support/sallyport.ts'
import { settingsOf } from './settings.ts'

const SALLYPORT = 65_532
const APP = 1_000
/** Out there: public to the address check, and nobody's in a network of our own. */
const WORLD = { ipv4: '44.0.0.2', ipv6: '2600:1::2' }
const PINNED = '10.9.9.9'
const METADATA = '169.254.169.254'
const ISATAP_LIKE = 'fd00:ec2::254'

const SETTINGS = `
listeners: [ { kind: forward, listen: 127.0.0.1:15001 } ]
allowlist: [ api.crm.example.com, db.crm.example.com ]
dns: { servers: [ ${WORLD.ipv4}, "[${WORLD.ipv6}]:53" ], hosts: { db.crm.example.com: [ ${PINNED} ] } }
connections:
  crm: { hosts: [ api.crm.example.com ], credential: { kind: none } }
  db: { hosts: [ db.crm.example.com ], port: 8443, allowPrivate: [ 10.9.0.0/16 ], credential: { kind: none } }
`

const PORTS = [80, 443, 8443, 9000]

describe.skipIf(!canMakeNetworks())('the rules of sallyport export nftables', () => {
  let networks: Networks
  let directory: string
  const stops: (() => void)[] = []

  beforeAll(async () => {
    directory = privateDirectory()
    const addresses = [`${WORLD.ipv4}/32`, `${WORLD.ipv6}/128`, `${PINNED}/32`, `${METADATA}/32`, `${ISATAP_LIKE}/128`]
    networks = await makeNetworks(directory, addresses)
    const everywhere = PORTS.map((port) => ({ host: '::', port }))
    const doors = ['127.0.0.1', '::1'].map((host) => ({ host, port: 15_002 }))
    const names = [WORLD.ipv4, WORLD.ipv6, '10.77.0.1'].map((host) => ({ host, port: 53 }))
    const inner = { says: 'pod', listen: [{ host: '::', port: 7_000 }] }
    stops.push(await startServers(networks.world, { says: 'world', listen: everywhere, names }))
    stops.push(await startServers(networks.pod, { says: 'door', listen: doors, uid: SALLYPORT }))
    stops.push(await startServers(networks.pod, { ...inner, uid: APP }))
  })

  afterAll(() => {
    for (const stop of stops) stop()
    networks.close()
  })

  async function load(users: Partial<Users> = {}): Promise<void> {
    const settings = await settingsOf(SETTINGS)
    const egress = egressOf(settings, { also: [] })
    const file = join(directory, 'rules.nft')
    const all = { sallyport: String(SALLYPORT), apps: [], redirectTo: undefined, ...users }
    writeFileSync(file, nftRuleset(settings, egress, all))
    networks.pod.run(pathOf('nft'), '--check', '--file', file)
    // Twice is once.
    for (let times = 0; times < 2; times++) networks.pod.run(pathOf('nft'), '--file', file)
  }

  const tryEach = (host: string, ports: readonly number[] = PORTS): Try[] => ports.map((port) => ({ host, port }))
  const told = (who: string, ports: readonly number[] = PORTS) => ports.map((port) => `${who} ${port}`)
  const refused = (count: number) => Array.from({ length: count }, () => 'EHOSTUNREACH')

  beforeEach(() => networks.pod.rules(''))

  test('nothing is held back before they are loaded', async () => {
    expect(await probe(networks.pod, APP, tryEach(WORLD.ipv4))).toEqual(told('world'))
    expect(await probe(networks.pod, APP, tryEach(WORLD.ipv6))).toEqual(told('world'))
    expect(await probe(networks.pod, APP, [{ host: METADATA, port: 80 }])).toEqual(['world 80'])
  })

  test('without a transparent door, an app reaches this machine alone, by either family', async () => {
    await load()
    expect(await probe(networks.pod, APP, tryEach(WORLD.ipv4))).toEqual(refused(4))
    expect(await probe(networks.pod, APP, tryEach(WORLD.ipv6))).toEqual(refused(4).map(() => 'EACCES'))
    expect(await probe(networks.pod, APP, [{ host: WORLD.ipv4, port: 53, udp: true }])).not.toEqual(['world 53'])
    expect(await probe(networks.pod, APP, [{ host: '127.0.0.1', port: 15_002 }])).toEqual(['door 15002'])
    expect(await probe(networks.pod, 0, tryEach(WORLD.ipv4))).toEqual(refused(4))
  })

  test('with one, its 80 and 443 end there, wherever they were meant for, and nothing else leaves but names', async () => {
    await load({ redirectTo: 15_002 })
    const expected = ['door 15002', 'door 15002', expect.stringMatching(/^E/), expect.stringMatching(/^E/)]
    for (const host of [WORLD.ipv4, WORLD.ipv6, PINNED, METADATA])
      expect(await probe(networks.pod, APP, tryEach(host))).toEqual(expected)
    const names = [WORLD.ipv4, WORLD.ipv6].map((host): Try => ({ host, port: 53, udp: true }))
    expect(await probe(networks.pod, APP, names)).toEqual(['world 53', 'world 53'])
    expect(await probe(networks.pod, APP, [{ host: '10.77.0.1', port: 53, udp: true }])).not.toEqual(['world 53'])
  })

  test('Sallyport reaches the ports that it needs, is not sent round in circles, and is kept from what it refuses anyway', async () => {
    await load({ redirectTo: 15_002 })
    const no = expect.stringMatching(/^E/)
    expect(await probe(networks.pod, SALLYPORT, tryEach(WORLD.ipv4))).toEqual([no, 'world 443', no, no])
    expect(await probe(networks.pod, SALLYPORT, tryEach(WORLD.ipv6))).toEqual([no, 'world 443', no, no])
    expect(await probe(networks.pod, SALLYPORT, tryEach(PINNED))).toEqual([no, no, 'world 8443', no])
    expect(await probe(networks.pod, SALLYPORT, tryEach(METADATA))).toEqual([no, no, no, no])
    expect(await probe(networks.pod, SALLYPORT, tryEach(ISATAP_LIKE))).toEqual([no, no, no, no])
    expect(await probe(networks.pod, SALLYPORT, [{ host: WORLD.ipv4, port: 53, udp: true }])).toEqual(['world 53'])
  })

  test('an app still answers whoever comes in', async () => {
    await load({ redirectTo: 15_002 })
    expect(await probe(networks.world, 0, tryEach('10.77.0.2', [7_000]))).toEqual(['pod 7000'])
    expect(await probe(networks.world, 0, tryEach('fd77::2', [7_000]))).toEqual(['pod 7000'])
  })

  test('with users named, others go as they went', async () => {
    await load({ apps: [String(APP), '1001'] })
    expect(await probe(networks.pod, APP, tryEach(WORLD.ipv4))).toEqual(refused(4))
    expect(await probe(networks.pod, 1_001, tryEach(WORLD.ipv4))).toEqual(refused(4))
    expect(await probe(networks.pod, 1_002, tryEach(WORLD.ipv4))).toEqual(told('world'))
    expect(await probe(networks.pod, SALLYPORT, tryEach(WORLD.ipv4, [443, 9000]))).toEqual([
      'world 443',
      'EHOSTUNREACH',
    ])
  })

  test('taken away, they leave nothing', async () => {
    await load({ redirectTo: 15_002 })
    networks.pod.run(pathOf('nft'), 'delete', 'table', 'inet', 'sallyport')
    expect(networks.pod.run(pathOf('nft'), 'list', 'ruleset')).toBe('')
    expect(await probe(networks.pod, APP, tryEach(WORLD.ipv4))).toEqual(told('world'))
  })
})
