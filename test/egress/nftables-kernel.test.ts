import { execFile, execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { hasTool, pathOf } from '../support/debian.ts'
import { canMakeNetworks, makeNetworks, type Networks } from '../support/networks.ts'
import { probe, startServers } from '../support/probes.ts'
import { eventually, privateDirectory, remove, runCli } from '../support/sallyport.ts'
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

  async function exported(...args: readonly string[]): Promise<string> {
    const { stdout, stderr, code } = await runCli(['export', 'nftables', '--config', config, ...args])
    expect(code, stderr).toBe(0)
    return stdout
  }

  async function load(...args: readonly string[]): Promise<void> {
    writeFileSync(rules, await exported(...args))
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

  test('is the same twice', async () => {
    expect(await exported()).toBe(await exported())
  })

  test('refuses QUIC, and every datagram but names, at once', async () => {
    await load()
    const udp = [443, 53].map((port) => ({ host: WORLD, port, udp: true }) as const)
    const begun = performance.now()
    expect(await probe(networks.pod, APP, udp)).toEqual([expect.stringMatching(/^E/), 'world 53'])
    expect(performance.now() - begun).toBeLessThan(3_000)
  })

  test.skipIf(!hasTool('python3'))('refuses ICMP, also to root', () => {
    const script = `import socket
try:
  socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).sendto(bytes([8, 0, 247, 255, 0, 0, 0, 0]), ('${WORLD}', 0))
except PermissionError:
  print('refused')`
    const [program = '', ...args] = [...networks.pod.as(0), pathOf('python3'), '-c', script]
    expect(execFileSync(program, args, { encoding: 'utf8' })).toBe('refused\n')
  })

  test('may be loaded while it holds: nothing slips through, and nothing that is let through is kept back', async () => {
    await load()
    const open = dial(networks.pod, APP, { host: WORLD, port: 443 })
    await once(open, 'connect')
    const before = accepted
    const [program = '', ...args] = [...networks.pod.as(0), pathOf('nft'), '--file', rules]
    let isOver = false
    const loading = (async () => {
      for (let times = 0; times < 30; times++) await promisify(execFile)(program, args)
      isOver = true
    })()
    const answers: string[] = []
    while (!isOver) {
      const [app, own] = await Promise.all([connectAs(APP, 9_000), connectAs(SALLYPORT, 443)])
      answers.push(`app ${app}, own ${own}`)
    }
    await loading
    expect(answers.length).toBeGreaterThan(10)
    expect(new Set(answers)).toEqual(new Set(['app refused, own connected']))
    expect(accepted).toBe(before)
    // What was redirected before still is.
    open.write('still')
    const [back] = (await once(open, 'data')) as [Buffer]
    expect(back.toString()).toBe('still')
    open.destroy()
  })

  test('holds a range of users', async () => {
    await load('--app-user', '1000-1099', '--app-user', '5000')
    const told = await Promise.all([1_000, 1_099, 5_000, 999, 1_100].map((uid) => connectAs(uid, 9_000)))
    expect(told).toEqual(['refused', 'refused', 'refused', 'connected', 'connected'])
  })

  test.each(['1099-1000', '1000-1000', '1-4294967295', '1000-', '-5'])('%s is no range', async (range) => {
    const { code, stderr } = await runCli(['export', 'nftables', '--config', config, '--app-user', range])
    expect(code).not.toBe(0)
    expect(stderr).toMatch(/use |argument/)
  })

  test('what it redirected breaks when it is taken away, instead of going past it', async () => {
    await load()
    const open: Socket = dial(networks.pod, APP, { host: WORLD, port: 443 }).on('error', () => undefined)
    await once(open, 'connect')
    networks.pod.run(pathOf('nft'), 'delete', 'table', 'inet', 'sallyport')
    open.write('more')
    await eventually(() => (open.resume().closed ? true : undefined), 'the end of it')
  })
})
