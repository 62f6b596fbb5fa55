import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { sendRaw, WHOLE_ANSWER } from '../support/raw-client.ts'
import type { Running } from '../support/sallyport.ts'
import { openTunnel, secureTunnel, talk } from '../support/tunnel.ts'
import { type RawUpstream, startUpstream } from '../support/upstream.ts'
import { authority, CALLER_KEY, CREDENTIAL, connectionTo, doorOf, PROOF, startCrm, stopCrm } from './crm.ts'

const HELD = 'held-by-sallyport'

/** One connection for each way of injection, called by its host. */
const INJECTIONS = {
  cookie: { kind: 'cookie', name: 'session' },
  template: {
    kind: 'template',
    headers: { 'X-Api-Key': 'Token {credential}', 'X-Copy': '{credential}', 'X-Api-Version': '2' },
  },
  git: { kind: 'git-basic' },
  header: { kind: 'placeholder', placeholder: HELD, in: { header: 'X-Key' } },
  query: { kind: 'placeholder', placeholder: HELD, in: { query: 'key' } },
  json: { kind: 'placeholder', placeholder: HELD, in: { json: '/auth/token' }, maxBodyBytes: 200 },
  form: { kind: 'placeholder', placeholder: HELD, in: { form: 'key' } },
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

/** Head and body as they came out; '' when nothing did. */
function sentFor(path: string): string {
  const request = new RegExp(`[A-Z]+ ${path}[ ?][\\s\\S]*`)
  return upstream.connections.map(({ bytes }) => request.exec(bytes)?.[0]).find((bytes) => bytes !== undefined) ?? ''
}

/** What a caller adds: header lines, a body as they say it, and what is behind the path. */
interface Wish {
  readonly method?: string
  readonly fields?: string
  readonly body?: string
  readonly query?: string
}

interface Seen {
  /** The upstream, of this request. */
  readonly sent: string
  /** The caller. */
  readonly answer: string
}

/** Asks through one door as `checkout`. */
type Ask = (name: keyof typeof INJECTIONS, wish: Wish) => Promise<Seen>

/** A raw request. */
function bytesOf(target: string, host: string, { method = 'GET', fields = '', body = '', query = '' }: Wish): string {
  return `${method} ${target}${query} HTTP/1.1\r\nHost: ${host}\r\n${fields}\r\n${body}`
}

const doors: Readonly<Record<string, Ask>> = {
  async forward(name, wish) {
    const path = nextPath()
    const host = `${name}.way.test`
    const bytes = bytesOf(`http://${host}${path}`, host, { ...wish, fields: `${PROOF}${wish.fields ?? ''}` })
    const { text } = await sendRaw(doorOf(running, 'forward'), bytes, { until: WHOLE_ANSWER })
    return { sent: sentFor(path), answer: text }
  },
  async reverse(name, wish) {
    const path = nextPath()
    const fields = `Authorization: Bearer ${CALLER_KEY}\r\n${wish.fields ?? ''}`
    const bytes = bytesOf(`/${name}${path}`, 'localhost', { ...wish, fields })
    const { text } = await sendRaw(doorOf(running, 'reverse'), bytes, { until: WHOLE_ANSWER })
    return { sent: sentFor(path), answer: text }
  },
  async 'opened tunnel'(name, wish) {
    const path = nextPath()
    const host = `${name}.way.test`
    const target = `${host}:${upstream.port}`
    const { socket } = await openTunnel(doorOf(running, 'forward'), target, { fields: PROOF })
    onTestFinished(() => void socket.destroy())
    const ca = readFileSync(join(running.directory, 'ca', 'ca.pem'), 'utf8')
    const { text } = await talk(await secureTunnel(socket, host, { ca }), bytesOf(path, target, wish), WHOLE_ANSWER)
    return { sent: sentFor(path), answer: text }
  },
}

describe.each(Object.keys(doors))('through the door %s', (door) => {
  const ask: Ask = (name, wish) => doors[door]?.(name, wish) ?? Promise.reject(new Error(door))

  test('a cookie takes the place of the caller’s own, and its other cookies go along', async () => {
    const { sent: head } = await ask('cookie', {
      fields: 'Cookie: theme=dark; session=mine\r\nCookie: SESSION=mine; lang=de\r\n',
    })
    expect(head.match(/^cookie: .*/gim)).toEqual([`Cookie: theme=dark; lang=de; session=${CREDENTIAL}`])
    expect(head).not.toContain('mine')
    expect(head).not.toContain(CALLER_KEY)
  })

  test('several headers are made of one credential, in place of the caller’s', async () => {
    const { sent: head } = await ask('template', { fields: 'x_api_version: 1\r\nX-API-Key: other\r\n' })
    expect(head).toContain(`X-Api-Key: Token ${CREDENTIAL}\r\nX-Copy: ${CREDENTIAL}\r\nX-Api-Version: 2\r\n`)
    expect(head).not.toMatch(/version: 1|other/i)
    expect(head).not.toContain(CALLER_KEY)
  })

  test('git shows the token as the password of x-access-token', async () => {
    const pair = Buffer.from(`x-access-token:${CREDENTIAL}`).toString('base64')
    expect((await ask('git', {})).sent.match(/^authorization: .*/gim)).toEqual([`Authorization: Basic ${pair}`])
  })

  test('a placeholder in its header or query parameter becomes the credential', async () => {
    const { sent } = await ask('header', { fields: `X-Key: Token ${HELD}\r\n` })
    expect(sent).toContain(`\r\nX-Key: Token ${CREDENTIAL}\r\n`)
    const { sent: line } = await ask('query', { query: `?a=1&key=${HELD}` })
    expect(line).toMatch(new RegExp(`^GET /v1/\\d+\\?a=1&key=${CREDENTIAL} HTTP/1.1\r\n`))
    expect(sent + line).not.toContain(HELD)
  })

  test('a placeholder in its place in the body becomes the credential, and the length is that of what is sent', async () => {
    const body = `{"n":12345678901234567890,"auth":{"token":"${HELD}"}}`
    const filled = body.replace(HELD, CREDENTIAL)
    const fields = `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n`
    const { sent } = await ask('json', { method: 'POST', fields, body })
    expect(sent).toContain(`\r\ncontent-length: ${filled.length}\r\n`)
    expect(sent.endsWith(`\r\n\r\n${filled}`)).toBe(true)
  })

  test('a chunked form is sent whole', async () => {
    const fields = 'Content-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n'
    const chunks = `a\r\na=1&key=he\r\nf\r\nld-by-sallyport\r\n0\r\n\r\n`
    const { sent } = await ask('form', { method: 'POST', fields, body: chunks })
    expect(sent).not.toMatch(/transfer-encoding/i)
    expect(sent.endsWith(`\r\n\r\na=1&key=${CREDENTIAL}`)).toBe(true)
  })

  test.each<[string, keyof typeof INJECTIONS, Wish]>([
    ['is missing', 'header', { fields: 'X-Key: mine\r\n' }],
    ['is elsewhere, too', 'header', { fields: `X-Key: ${HELD}\r\nX-Other: ${HELD}\r\n` }],
    ['is in another place', 'query', { fields: `X-Key: ${HELD}\r\n` }],
    ['should be in a body, and there is none', 'json', { fields: 'Content-Type: application/json\r\n' }],
    ['is in a body of another type', 'json', posted(`{"auth":{"token":"${HELD}"}}`, 'text/plain')],
    ['is in another string of the body', 'json', posted(`{"auth":{"other":"${HELD}"}}`)],
    ['is in a body that is packed', 'json', posted(`{"auth":{"token":"${HELD}"}}`, 'application/json', 'gzip')],
  ])('a request whose placeholder %s is refused, and nothing leaves', async (_why, name, wish) => {
    const { sent, answer } = await ask(name, wish)
    expect(answer).toMatch(/^HTTP\/1.1 400 /)
    expect(answer).toContain('"code":"placeholder-misplaced"')
    expect(sent).toBe('')
  })

  test.each<[string, Wish]>([
    ['says that it is', posted(`{"auth":{"token":"${HELD}"},"pad":"${'x'.repeat(200)}"}`)],
    [
      'turns out to be',
      {
        method: 'POST',
        fields: 'Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n',
        body: `96\r\n${'x'.repeat(150)}\r\n96\r\n${'x'.repeat(150)}\r\n0\r\n\r\n`,
      },
    ],
  ])('a body that %s longer than what is held is refused, and nothing leaves', async (_how, wish) => {
    const { sent, answer } = await ask('json', wish)
    expect(answer).toContain('"code":"body-too-large"')
    expect(sent).toBe('')
  })
})

function posted(body: string, type = 'application/json', coding = 'identity'): Wish {
  const fields = `Content-Type: ${type}\r\nContent-Encoding: ${coding}\r\nContent-Length: ${body.length}\r\n`
  return { method: 'POST', fields, body }
}
