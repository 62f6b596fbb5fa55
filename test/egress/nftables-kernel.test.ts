import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Command, Option } from 'commander'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { registerExport } from '../../src/cli/export-options.ts'
import { egressOf } from '../../src/egress/egress.ts'
import { nftRuleset } from '../../src/egress/nftables.ts'
import { loadSettings } from '../../src/settings/load.ts'
import { hasTool, pathOf } from '../support/debian.ts'
import { canMakeNetworks, makeNetworks, type Networks } from '../support/networks.ts'
import { probe, startServers } from '../support/probes.ts'
import { privateDirectory, remove, runCli } from '../support/sallyport.ts'
import { dial, within } from '../support/within.ts'

const SALLYPORT = 65_532
const APP = 1_000
const WORLD = '44.0.0.2'
const SETTINGS = `
listeners: [ { kind: transparent, listen: 127.0.0.1:15002, caller: app } ]
ca: { directory: ca }
allowlist: [ api.crm.example.com ]
dns: { servers: [ ${WORLD} ] }
callers: { app: { kind: socket } }
connections: { crm: { hosts: [ api.crm.example.com ], credential: { kind: none } } }
`

describe.skipIf(!canMakeNetworks())('what sallyport export nftables prints', () => {
  const directory = privateDirectory()
  const config = join(directory, 'sallyport.yaml')
  const rules = join(directory, 'rules.nft')
  let networks: Networks
  let world: Server
  let door: Server
  let stop: () => void
  let accepted = 0

  beforeAll(async () => {
    writeFileSync(config, SETTINGS)
    networks = await makeNetworks(directory, [`${WORLD}/32`])
    world = createServer((socket) => {
      accepted++
      socket.on('error', () => undefined).end('world')
    })
    within(networks.world, () => world.listen(9_000))
    door = createServer((socket) => socket.on('error', () => undefined).pipe(socket))
    within(networks.pod, () => door.listen(15_002))
    const names = [443, 53].map((port) => ({ host: WORLD, port }))
    stop = await startServers(networks.world, { says: 'world', listen: [{ host: '::', port: 443 }], names })
  })

  afterAll(() => {
    stop?.()
    networks?.close()
    for (const server of [world, door]) server?.close()
    remove(directory)
  })

  async function load(apps: readonly string[] = []): Promise<void> {
    const { settings } = await loadSettings(config)
    const users = { sallyport: String(SALLYPORT), apps, redirectTo: undefined }
    writeFileSync(rules, nftRuleset(settings, egressOf(settings, { also: [] }), users))
    networks.pod.run(pathOf('nft'), '--file', rules)
  }

  async function connectAs(uid: number, port: number): Promise<'connected' | 'refused'> {
    const socket = dial(networks.pod, uid, { host: WORLD, port })
    const told = await new Promise<'connected' | 'refused'>((resolve) => {
      socket.once('connect', () => resolve('connected')).once('error', () => resolve('refused'))
    })
    socket.destroy()
    return told
  }

  test('refuses QUIC, and every datagram but names, at once', async () => {
    await load()
    const udp = [443, 53].map((port) => ({ host: WORLD, port, udp: true }) as const)
    // Nobody to wait for: 'silence' is what a packet that is dropped comes to.
    expect(await probe(networks.pod, APP, udp)).toEqual([expect.stringMatching(/^E/), 'world 53'])
  })

  test.skipIf(!hasTool('python3'))('refuses ICMP, also to root', () => {
    const script = `import socket
try:
  socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).sendto(bytes([8, 0, 247, 255, 0, 0, 0, 0]), ('${WORLD}', 0))
except PermissionError:
  print('refused')`
    expect(networks.pod.run(pathOf('python3'), '-c', script)).toBe('refused\n')
  })

  test('may be loaded while it holds: nothing slips through, and nothing that is let through is kept back', async () => {
    await load()
    const open = dial(networks.pod, APP, { host: WORLD, port: 443 })
    await once(open, 'connect')
    const before = accepted
    const [program = '', ...enter] = networks.pod.as(0)
    const answers: string[] = []
    const knock = async () => {
      for (let times = 0; times < 20; times++) {
        const [app, own] = await Promise.all([connectAs(APP, 9_000), connectAs(SALLYPORT, 443)])
        answers.push(`app ${app}, own ${own}`)
      }
    }
    for (let times = 0; times < 10; times++)
      await Promise.all([promisify(execFile)(program, [...enter, pathOf('nft'), '--file', rules]), knock()])
    expect(new Set(answers)).toEqual(new Set(['app refused, own connected']))
    expect(accepted).toBe(before)
    // What was redirected before still is.
    open.write('still')
    const [back] = (await once(open, 'data')) as [Buffer]
    expect(back.toString()).toBe('still')
    open.destroy()
  })

  test('holds a range of users', async () => {
    await load(['1000-1099', '5000'])
    const told = await Promise.all([1_000, 1_099, 5_000, 999, 1_100].map((uid) => connectAs(uid, 9_000)))
    expect(told).toEqual(['refused', 'refused', 'refused', 'connected', 'connected'])
  })

  test('is the same twice, with a range of users as it was said', async () => {
    const args = ['export', 'nftables', '--config', config, '--app-user', '1000-1999']
    const [one, other] = await Promise.all([runCli(args), runCli(args)])
    expect(one.stdout, one.stderr).toMatch(/meta skuid \{ 1000-1999 \} goto apps/)
    expect(one.stdout).toBe(other.stdout)
  })
})

test.each(['1099-1000', '1000-1000', '1-4294967295', '1000-', '1000-1999-'])('%s is no range of users', (range) => {
  const program = new Command().exitOverride().configureOutput({ writeErr: () => undefined })
  registerExport(program, () => new Option('--config <file>'))
  const args = ['export', 'nftables', '--config', 'none', '--app-user', range]
  expect(() => program.parse(args, { from: 'user' })).toThrow(/use a range|use the number or the name/)
})
