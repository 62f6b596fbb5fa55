import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { sendRaw, WHOLE_ANSWER } from '../support/raw-client.ts'
import type { Running } from '../support/sallyport.ts'
import { openTunnel, secureTunnel, talk } from '../support/tunnel.ts'
import { type RawUpstream, startUpstream } from '../support/upstream.ts'
import { authority, CALLER_KEY, CREDENTIAL, connectionTo, doorOf, PROOF, startCrm, stopCrm } from './crm.ts'

/** One connection for each way of injection, called by its host. */
const INJECTIONS = {
  cookie: { kind: 'cookie', name: 'session' },
  template: {
    kind: 'template',
    headers: { 'X-Api-Key': 'Token {credential}', 'X-Copy': '{credential}', 'X-Api-Version': '2' },
  },
  git: { kind: 'git-basic' },
}

let upstream: RawUpstream
let running: Running

beforeAll(async () => {
  upstream = await startUpstream(undefined, await authority.issue(['*.way.test']))
  const names = Object.keys(INJECTIONS)
  const hosts = names.map((name) => `${name}.way.test`)
  running = await startCrm({
    port: upstream.port,
    settings: {
      listeners: [
        { kind: 'forward', listen: '127.0.0.1:0' },
        { kind: 'reverse', listen: '127.0.0.1:0' },
      ],
      ca: { directory: 'ca' },
      allowlist: hosts,
      connections: Object.fromEntries(
        Object.entries(INJECTIONS).map(([name, inject]) => [
          name,
          connectionTo(`${name}.way.test`, upstream.port, { inject }),
        ]),
      ),
      grants: names.map((connection) => ({ caller: 'checkout', connection })),
      dns: { hosts: Object.fromEntries(hosts.map((host) => [host, ['127.0.0.1']])) },
    },
  })
})

afterAll(async () => {
  await stopCrm(running)
  await upstream?.close()
})

let asked = 0
/** A path that no other ask has, by which what was sent upstream is found again. */
function nextPath(): string {
  asked += 1
  return `/v1/${asked}`
}

function sentFor(path: string): string {
  return upstream.heads().find((head) => head.includes(` ${path} `)) ?? ''
}

/** Asks through one door as `checkout`; what the upstream was sent. `fields`: lines that the caller adds. */
type Ask = (name: keyof typeof INJECTIONS, fields: string) => Promise<string>

const doors: Readonly<Record<string, Ask>> = {
  async forward(name, fields) {
    const host = `${name}.way.test`
    const path = nextPath()
    const bytes = `GET http://${host}${path} HTTP/1.1\r\nHost: ${host}\r\n${PROOF}${fields}\r\n`
    expect((await sendRaw(doorOf(running, 'forward'), bytes, { until: WHOLE_ANSWER })).status).toBe(200)
    return sentFor(path)
  },
  async reverse(name, fields) {
    const path = nextPath()
    const proof = `Authorization: Bearer ${CALLER_KEY}\r\n`
    const bytes = `GET /${name}${path} HTTP/1.1\r\nHost: localhost\r\n${proof}${fields}\r\n`
    expect((await sendRaw(doorOf(running, 'reverse'), bytes, { until: WHOLE_ANSWER })).status).toBe(200)
    return sentFor(path)
  },
  async 'opened tunnel'(name, fields) {
    const host = `${name}.way.test`
    const path = nextPath()
    const target = `${host}:${upstream.port}`
    const { socket } = await openTunnel(doorOf(running, 'forward'), target, { fields: PROOF })
    onTestFinished(() => void socket.destroy())
    const secure = await secureTunnel(socket, host, {
      ca: readFileSync(join(running.directory, 'ca', 'ca.pem'), 'utf8'),
    })
    await talk(secure, `GET ${path} HTTP/1.1\r\nHost: ${target}\r\n${fields}\r\n`, WHOLE_ANSWER)
    return sentFor(path)
  },
}

describe.each(Object.keys(doors))('through the door %s', (door) => {
  const ask: Ask = (name, fields) => doors[door]?.(name, fields) ?? Promise.reject(new Error(door))

  test('a cookie takes the place of the caller’s own, and its other cookies go along', async () => {
    const head = await ask('cookie', 'Cookie: theme=dark; session=mine\r\nCookie: SESSION=mine; lang=de\r\n')
    expect(head.match(/^cookie: .*/gim)).toEqual([`Cookie: theme=dark; lang=de; session=${CREDENTIAL}`])
    expect(head).not.toContain('mine')
    expect(head).not.toContain(CALLER_KEY)
  })

  test('several headers are made of one credential, in place of the caller’s', async () => {
    const head = await ask('template', 'x_api_version: 1\r\nX-API-Key: other\r\n')
    expect(head).toContain(`X-Api-Key: Token ${CREDENTIAL}\r\nX-Copy: ${CREDENTIAL}\r\nX-Api-Version: 2\r\n`)
    expect(head).not.toMatch(/version: 1|other/i)
    expect(head).not.toContain(CALLER_KEY)
  })

  test('git shows the token as the password of x-access-token', async () => {
    const pair = Buffer.from(`x-access-token:${CREDENTIAL}`).toString('base64')
    expect((await ask('git', '')).match(/^authorization: .*/gim)).toEqual([`Authorization: Basic ${pair}`])
  })
})
