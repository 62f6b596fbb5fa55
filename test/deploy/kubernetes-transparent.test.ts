import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parse } from 'yaml'
import { makeAuthority } from '../support/certificates.ts'
import { imageTree } from '../support/image-tree.ts'
import { configMapsIn, podIn, rendered, settingsIn } from '../support/kubernetes-overlays.ts'
import { NO_POD, Pod } from '../support/pod.ts'
import { eventually } from '../support/sallyport.ts'
import { type RawUpstream, startUpstream } from '../support/upstream.ts'

const CRM = 'api.crm.example.com'
const ELSEWHERE = { host: CRM, ip: '93.184.215.14' }

const manifests = NO_POD ? [] : rendered('overlays/transparent')
const spec = NO_POD ? { containers: [] } : podIn(manifests, 'Deployment', 'legacy')

let image: Awaited<ReturnType<typeof imageTree>>
let upstream: RawUpstream
let other: Server
let pod: Pod

beforeAll(async () => {
  if (NO_POD) return
  image = await imageTree()
  const authority = await makeAuthority()
  const contact = { send: 'HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\ncontact' }
  upstream = await startUpstream(() => [contact], await authority.issue([CRM]))
  other = createServer((_request, response) => response.end('another service')).listen(0, '127.0.0.1')
  await once(other, 'listening')
  // A server on TCP has an address of this form.
  const { port } = other.address() as AddressInfo
  const cables = [
    { ...ELSEWHERE, port: 443, to: upstream.port },
    { ...ELSEWHERE, port: 8080, to: port },
    { ...ELSEWHERE, port: 53, to: port },
  ]
  const objects = {
    secrets: { 'sallyport-secrets': { crm: 's3cret-of-the-crm' }, 'sallyport-app': { key: 'key' } },
    configMaps: trusting(configMapsIn(manifests)),
    token: () => 'a token',
  }
  const files = { '/upstream.pem': authority.certPem }
  pod = await Pod.start({ spec, objects, image: image.directory, cables, files })
})
afterAll(async () => {
  await Promise.all([pod?.close(), upstream?.close()])
  other?.close()
  image?.remove()
})

/** The one difference to what is shipped: the test's upstream is vouched for by the test's authority. */
function trusting(maps: Record<string, Record<string, string>>): Record<string, Record<string, string>> {
  const line = `    hosts: [${CRM}]\n`
  const changed = (text: string) => text.replace(line, `${line}    tls: { ca: { file: /upstream.pem } }\n`)
  const ofOne = (data: Record<string, string>) => Object.entries(data).map(([key, text]) => [key, changed(text)])
  return Object.fromEntries(Object.entries(maps).map(([name, data]) => [name, Object.fromEntries(ofOne(data))]))
}

/** As an app that knows of no proxy. */
const curl = async (container: string, url: string, ...more: readonly string[]) => {
  const { code, text } = await pod.exec(container, 'curl', '-sS', '-m', '10', '--noproxy', '*', ...more, url)
  return code === 0 ? text : `exit ${code}`
}

test.skipIf(NO_POD)(
  'an init container with one capability holds the app, and what it asks for over HTTP and HTTPS gets the credential',
  async () => {
    expect(await curl('legacy', `http://${CRM}:8080/`)).toBe('another service')
    const loading = pod.run('sallyport-redirect')
    expect({ code: await loading.ended, said: loading.output() }).toEqual({ code: 0, said: '' })
    const [, sallyport] = spec.initContainers ?? []
    const program = pod.run('sallyport')
    await eventually(
      async () => ((await pod.probe(sallyport?.startupProbe ?? {}, 'sallyport')) === 200 ? true : undefined),
      `the startup probe: ${program.output()}`,
      60_000,
    )
    expect(await curl('legacy', `http://${CRM}/v1/contacts/7`)).toBe('contact')
    const trust = ['--cacert', '/run/sallyport/trust/bundle.pem']
    expect(await curl('legacy', `https://${CRM}/v1/contacts/7`, ...trust)).toBe('contact')
    expect(upstream.heads()).toHaveLength(2)
    for (const head of upstream.heads()) expect(head).toMatch(/authorization: bearer s3cret-of-the-crm/i)
    expect(await curl('legacy', `http://${CRM}/v1/contacts/7`, '-X', 'DELETE')).toContain('rule-not-matched')
    // 7: refused at once, not left waiting.
    expect(await curl('legacy', `http://${CRM}:8080/`)).toBe('exit 7')
    expect(await curl('sallyport', `http://${CRM}:8080/`)).toBe('another service')
  },
  240_000,
)

test.skipIf(NO_POD)('the port of names is no way out to whoever listens there', async () => {
  expect(await curl('legacy', `http://${CRM}:53/`)).toBe('exit 7')
  expect(await curl('sallyport', `http://${CRM}:53/`)).toBe('another service')
})

test.skipIf(NO_POD)('the app cannot take the rules away', async () => {
  const { code, text } = await pod.exec('legacy', '/usr/sbin/nft', 'flush', 'ruleset')
  expect(code).not.toBe(0)
  expect(text).toMatch(/Operation not permitted/)
  expect(await curl('legacy', `http://${CRM}:8080/`)).toBe('exit 7')
})

test.skipIf(NO_POD)('loading the rules twice is loading them once, as a pod that is started again does', async () => {
  expect(await pod.run('sallyport-redirect').ended).toBe(0)
  expect(await curl('legacy', `http://${CRM}/v1/contacts/7`)).toBe('contact')
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
