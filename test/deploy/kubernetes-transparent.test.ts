import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parse } from 'yaml'
import { imageTree } from '../support/image-tree.ts'
import { configMapsIn, podIn, rendered, settingsIn } from '../support/kubernetes-overlays.ts'
import { NO_POD, Pod } from '../support/pod.ts'
import { eventually } from '../support/sallyport.ts'

const CRM = 'api.crm.example.com'
const ELSEWHERE = { host: CRM, ip: '93.184.215.14' }

const manifests = NO_POD ? [] : rendered('overlays/transparent')
const spec = NO_POD ? { containers: [] } : podIn(manifests, 'Deployment', 'legacy')

const DOOR = `require('node:http').createServer((_, response) => response.end('door'))
  .listen(15002, '127.0.0.1', () => process.stdout.write('open'))`

let image: Awaited<ReturnType<typeof imageTree>>
let servers: readonly Server[] = []
let pod: Pod

/** Answers with its own name, at a free port. */
async function saying(name: string): Promise<{ readonly server: Server; readonly port: number }> {
  const server = createServer((_request, response) => response.end(name)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  // A server on TCP has an address of this form.
  return { server, port: (server.address() as AddressInfo).port }
}

beforeAll(async () => {
  if (NO_POD) return
  image = await imageTree()
  const upstream = await saying('upstream')
  servers = [upstream.server]
  const cables = [80, 8080].map((port) => ({ ...ELSEWHERE, port, to: upstream.port }))
  const objects = {
    secrets: { 'sallyport-secrets': { crm: 's3cret' }, 'sallyport-app': { key: 'key' } },
    configMaps: configMapsIn(manifests),
    token: () => 'a token',
  }
  pod = await Pod.start({ spec, objects, image: image.directory, cables })
  // In the place of the door, as the user that it has.
  const door = pod.run('sallyport', ['/nodejs/bin/node', '-e', DOOR])
  await eventually(() => (door.output() === 'open' ? true : undefined), 'the door')
}, 60_000)
afterAll(async () => {
  await pod?.close()
  for (const server of servers) server.close()
  image?.remove()
})

const curl = async (container: string, url: string) => {
  const { code, text } = await pod.exec(container, 'curl', '-sS', '-m', '5', '--noproxy', '*', url)
  return code === 0 ? text : `exit ${code}`
}

test.skipIf(NO_POD)(
  'the rules of the init container, with the one capability it has, hold whoever is not Sallyport',
  async () => {
    expect(await curl('legacy', `http://${CRM}/`)).toBe('upstream')
    const loading = pod.run('sallyport-redirect')
    expect({ code: await loading.ended, said: loading.output() }).toEqual({ code: 0, said: '' })
    expect(await curl('legacy', `http://${CRM}/`)).toBe('door')
    // 7: refused at once, not left waiting.
    expect(await curl('legacy', `http://${CRM}:8080/`)).toBe('exit 7')
    expect(await curl('sallyport', `http://${CRM}/`)).toBe('upstream')
    expect(await curl('sallyport', `http://${CRM}:8080/`)).toBe('upstream')
  },
)

test.skipIf(NO_POD)('the app cannot take the rules away', async () => {
  const { code, text } = await pod.exec('legacy', '/usr/sbin/nft', 'flush', 'ruleset')
  expect(code).not.toBe(0)
  expect(text).toMatch(/Operation not permitted/)
  expect(await curl('legacy', `http://${CRM}:8080/`)).toBe('exit 7')
})

test.skipIf(NO_POD)('loading the rules twice is loading them once, as a pod that is started again does', async () => {
  expect(await pod.run('sallyport-redirect').ended).toBe(0)
  expect(await curl('legacy', `http://${CRM}/`)).toBe('door')
})

test.skipIf(NO_POD)(
  'rules and settings agree on the port of the door and on the user of Sallyport, whom no app is',
  () => {
    const { 'rules.nft': rules = '' } = Object.values(configMapsIn(manifests)).find((one) => 'rules.nft' in one) ?? {}
    const doors: { kind: string; listen: string }[] = parse(settingsIn(manifests)).listeners
    const port = doors
      .find(({ kind }) => kind === 'transparent')
      ?.listen.split(':')
      .at(-1)
    expect(rules.match(/redirect to :(\d+)/)?.[1]).toBe(port)
    const users = new Set([...rules.matchAll(/meta skuid (\d+)/g)].map(([, uid]) => Number(uid)))
    expect([...users]).toEqual([
      spec.initContainers?.find(({ name }) => name === 'sallyport')?.securityContext?.runAsUser,
    ])
    expect(users.has(spec.securityContext?.runAsUser ?? 0)).toBe(false)
  },
)
