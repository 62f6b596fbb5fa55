import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runProgram } from '../clients/client.ts'
import { bareEnvironment } from '../clients/environment.ts'
import { hasTool, pathOf } from '../support/debian.ts'
import { sendRaw } from '../support/raw-client.ts'
import { eventually, type Running } from '../support/sallyport.ts'
import { type RawUpstream, type Step, startUpstream } from '../support/upstream.ts'
import { authority, CALLER_KEY, CREDENTIAL, connectionTo, hold, startCrm, stopCrm } from './crm.ts'

const BODY = JSON.stringify({ contact: 'Ada' })
const ZIPPED = gzipSync(BODY)

let upstream: RawUpstream
let sallyport: Running
let workspace: string

beforeAll(async () => {
  const names = ['api.crm.test', 'eu.api.crm.test', 'open.test', 'erp.test', 'keyed.test']
  upstream = await startUpstream(answerOf, await authority.issue(names))
  const hosts = ['api.crm.test', '*.api.crm.test']
  sallyport = await startCrm({
    port: upstream.port,
    settings: {
      listeners: [{ kind: 'reverse', listen: '127.0.0.1:0', face: 'unity-catalog' }],
      allowlist: [...hosts, 'open.test', 'erp.test', 'keyed.test'],
      connections: {
        crm: connectionTo('api.crm.test', upstream.port, { hosts, basePath: '/v1' }),
        open: connectionTo('open.test', upstream.port, { credential: { kind: 'none' } }),
        erp: connectionTo('erp.test', upstream.port),
        keyed: connectionTo('keyed.test', upstream.port, { inject: { kind: 'header', name: 'X-Api-Key' } }),
      },
      grants: [
        { caller: 'checkout', connection: 'crm', rules: [{ paths: ['/v1', '/v1/**'], methods: ['GET', 'POST'] }] },
        { caller: 'checkout', connection: 'open' },
        { caller: 'checkout', connection: 'keyed' },
      ],
      dns: { hosts: Object.fromEntries(names.map((name) => [name, ['127.0.0.1']])) },
    },
  })
  workspace = `http://${sallyport.doors[0]?.address}`
})

afterAll(async () => {
  await stopCrm(sallyport)
  await upstream?.close()
})

function answerOf(request: string): readonly Step[] {
  if (request.includes('/broken')) return [{ send: 'HTTP/1.1 418 Teapot\r\nContent-Length: 4\r\nX-Up: 1\r\n\r\nmine' }]
  const isZipped = request.includes('/zipped') && /^accept-encoding:.*gzip/im.test(request)
  const head = isZipped ? 'Content-Encoding: gzip\r\n' : ''
  const body = isZipped ? ZIPPED : Buffer.from(BODY)
  return [{ send: `HTTP/1.1 200 OK\r\n${head}Content-Length: ${body.length}\r\n\r\n` }, { send: body }]
}

interface Asking extends RequestInit {
  readonly key?: string
}

/** What `fetch` got, and the raw head that the upstream saw of it, when it saw one. */
async function ask(path: string, { key = CALLER_KEY, headers, ...init }: Asking = {}) {
  const before = upstream.heads()
  const answer = await fetch(workspace + path, {
    ...init,
    headers: { ...(key !== '' && { authorization: `Bearer ${key}` }), ...(headers as Record<string, string>) },
  })
  const text = await answer.text()
  const json: unknown = text.startsWith('{') ? JSON.parse(text) : undefined
  return { status: answer.status, headers: answer.headers, text, json, seen: newIn(upstream.heads(), before) }
}

/** They come in the order of their connections, which are used again. */
function newIn(heads: readonly string[], before: readonly string[]): string[] {
  const left = [...before]
  return heads.filter((head) => {
    const at = left.indexOf(head)
    if (at !== -1) left.splice(at, 1)
    return at === -1
  })
}

const proxied = (name: string, rest = '', more: Asking = {}) =>
  ask(`/api/2.0/unity-catalog/connections/${name}/proxy${rest}`, more)

function callFunction(members: object) {
  const body = JSON.stringify({ connection_name: 'crm', method: 'GET', path: '/contacts', ...members })
  return ask('/api/2.0/external-function', { method: 'POST', body })
}

/** It is written when the last byte has passed, which may be after we have read it. */
function entryWith(wanted: Record<string, unknown>): Promise<unknown> {
  const fits = (entry: Record<string, unknown>) =>
    Object.entries(wanted).every(([name, value]) => entry[name] === value)
  return eventually(async () => (await sallyport.audit(1)).find(fits), `an entry with ${JSON.stringify(wanted)}`)
}

function refusal(code: string, error_code: string, message: string | RegExp) {
  const metadata = { instance: expect.stringMatching(/^urn:uuid:/) }
  const info = { '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason: code, domain: 'sallyport', metadata }
  return {
    error_code,
    message: typeof message === 'string' ? message : expect.stringMatching(message),
    details: [info],
  }
}

const UNGRANTED = (name: string) =>
  refusal('grant-missing', 'PERMISSION_DENIED', `User does not have USE CONNECTION on Connection '${name}'.`)

describe('the proxy endpoint', () => {
  test.each([
    ['', '/v1'],
    ['/', '/v1/'],
    ['/contacts/1?q=a%20b', '/v1/contacts/1?q=a%20b'],
  ])('%j goes out below the base path, as %s, with our credential', async (rest, target) => {
    const { status, json, seen } = await proxied('crm', rest)
    expect({ status, json }).toEqual({ status: 200, json: { contact: 'Ada' } })
    expect(seen).toHaveLength(1)
    expect(seen[0]).toMatch(new RegExp(`^GET ${target.replace('?', '\\?')} HTTP/1.1\r\nhost: api.crm.test:\\d+\r\n`))
    expect(seen[0]).toContain(`Authorization: Bearer ${CREDENTIAL}\r\n`)
    expect(seen[0]).not.toContain(CALLER_KEY)
  })

  test('takes away what is for the workspace, and passes the rest', async () => {
    const headers = { cookie: 'session=1', 'x-databricks-org-id': '7', X_Databricks_Odd: '8', 'x-api-version': '3' }
    const { seen } = await proxied('open', '/a', { headers: { ...headers, accept: 'text/csv' } })
    expect(seen[0]).toMatch(/^x-api-version: 3\r$/im)
    expect(seen[0]).toMatch(/^accept: text\/csv\r$/im)
    expect(seen[0]).not.toMatch(/databricks|cookie|authorization/i)
  })

  test('the key is in Authorization, whatever stands where our credential goes', async () => {
    const { status, seen } = await proxied('keyed', '/a', { headers: { 'x-api-key': 'of-the-app' } })
    expect(status).toBe(200)
    expect(seen[0]).toContain(`X-Api-Key: ${CREDENTIAL}\r\n`)
    expect(seen[0]).not.toMatch(/of-the-app|authorization/i)
  })

  test('an answer of the upstream passes as it is', async () => {
    const { status, text, headers } = await proxied('crm', '/broken')
    expect({ status, text, up: headers.get('x-up') }).toEqual({ status: 418, text: 'mine', up: '1' })
    expect(headers.get('proxy-status')).toBeNull()
  })

  test.each(['identity', 'gzip'])(
    'Accept-Encoding: %s is answered byte by byte as the upstream does',
    async (coding) => {
      const head = `GET /api/2.0/unity-catalog/connections/crm/proxy/zipped HTTP/1.1\r\nHost: localhost\r\n`
      const fields = `Authorization: Bearer ${CALLER_KEY}\r\nAccept-Encoding: ${coding}\r\nConnection: close\r\n\r\n`
      const { text } = await sendRaw(workspace.slice('http://'.length), head + fields)
      const body = Buffer.from(text.slice(text.indexOf('\r\n\r\n') + 4), 'latin1')
      expect(body.equals(coding === 'gzip' ? ZIPPED : Buffer.from(BODY))).toBe(true)
      expect(/^content-encoding: gzip\r$/im.test(text)).toBe(coding === 'gzip')
    },
  )

  test.each(['/a/../../b', '/%2e%2e/b', '/a//b', '/..%2fb'])('%s is refused, and nothing goes out', async (rest) => {
    const head = `GET /api/2.0/unity-catalog/connections/crm/proxy${rest} HTTP/1.1\r\nHost: localhost\r\n`
    const before = upstream.heads().length
    const { text, status } = await sendRaw(
      workspace.slice('http://'.length),
      `${head}Authorization: Bearer ${CALLER_KEY}\r\nConnection: close\r\n\r\n`,
    )
    expect(status).toBe(403)
    expect(JSON.parse(text.split('\r\n\r\n')[1] ?? '')).toMatchObject({ details: [{ reason: 'path-not-allowed' }] })
    expect(upstream.heads()).toHaveLength(before)
  })
})

describe('the external function', () => {
  test('what is asked for is what goes out, and what is recorded', async () => {
    const members = { method: 'POST', path: '/notes?a=1', json: '{"text": "hi"}', params: '{"b":["x y",2]}' }
    const { status, seen } = await callFunction({ ...members, headers: '{"X-Trace":"7","Cookie":"no"}' })
    expect(status).toBe(200)
    expect(seen[0]).toMatch(/^POST \/v1\/notes\?a=1&b=x%20y&b=2 HTTP\/1.1\r\n/)
    expect(seen[0]).toMatch(/^X-Trace: 7\r$/m)
    expect(seen[0]).toMatch(/^Content-Type: application\/json\r$/m)
    expect(seen[0]).not.toMatch(/cookie|text\/plain/i)
    expect(upstream.bytes()).toContain('\r\n\r\n{"text": "hi"}')
    const asked = { method: 'POST', host: 'api.crm.test', path: '/notes', connection: 'crm', caller: 'checkout' }
    await entryWith({ ...asked, decision: 'permit', status: 200 })
  })

  test('a rule judges the request in the body, and not the one that brought it', async () => {
    const { status, json, seen } = await callFunction({ method: 'DELETE' })
    expect(status).toBe(403)
    expect(json).toEqual(refusal('rule-not-matched', 'PERMISSION_DENIED', /^The grant does not cover/))
    expect(seen).toEqual([])
    await entryWith({
      method: 'DELETE',
      host: undefined,
      path: '/contacts',
      decision: 'refuse',
      code: 'rule-not-matched',
    })
  })

  test('a sub-domain is reached where the hosts of the connection have it', async () => {
    const { status, seen } = await callFunction({ sub_domain: 'eu' })
    expect(status).toBe(200)
    expect(seen[0]).toMatch(/^host: eu.api.crm.test:\d+\r$/m)
    await entryWith({ host: 'eu.api.crm.test', connection: 'crm' })
  })

  test.each([
    ['open', 'eu'],
    ['crm', 'evil.test/'],
    ['crm', ''],
  ])('a sub-domain of %s called %j is refused', async (connection_name, sub_domain) => {
    const { status, json, seen } = await callFunction({ connection_name, sub_domain })
    expect(status).toBe(403)
    expect(json).toMatchObject({ details: [{ reason: 'host-not-allowed' }] })
    expect(seen).toEqual([])
  })

  test.each([
    ['an unknown member', { body: '{}' }],
    ['headers that are no text', { headers: { a: 'b' } }],
    ['a header with a line in it', { headers: '{"X-A":"b\\r\\nX-B: c"}' }],
    ['a second host', { headers: '{"Host":"evil.test"}' }],
    ['params that are a list', { params: '[1]' }],
    ['json that is none', { json: '{' }],
    ['another method', { method: 'TRACE' }],
    ['no connection', { connection_name: 7 }],
  ])('%s is refused', async (_what, members) => {
    const { status, json, seen } = await callFunction(members)
    expect(status).toBe(400)
    expect(json).toEqual(refusal('body-malformed', 'INVALID_PARAMETER_VALUE', /^The body does not say/))
    expect(seen).toEqual([])
  })

  test('a path that climbs, a body that is too long or in no JSON are refused', async () => {
    expect(await callFunction({ path: '/../admin' })).toMatchObject({ status: 403, seen: [] })
    const tooLong = await callFunction({ json: JSON.stringify('a'.repeat(1024 * 1024)) })
    expect(tooLong.json).toMatchObject({ details: [{ reason: 'body-too-large' }] })
    const none = await ask('/api/2.0/external-function', { method: 'POST', body: '{"a":1,"a":2}' })
    expect(none.json).toMatchObject({ details: [{ reason: 'body-malformed' }] })
  })

  test('a caller that begins many and ends none is told so, and nothing else waits for it', async () => {
    const head = `POST /api/2.0/external-function HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${CALLER_KEY}\r\n`
    const address = workspace.slice('http://'.length)
    const begun = Array.from({ length: 33 }, () => hold(address, `${head}Content-Length: 9\r\n\r\n`))
    const told = await eventually(() => begun.find((line) => line.text() !== '')?.text(), 'an answer')
    expect(told).toMatch(/^HTTP\/1.1 429 [\s\S]*"error_code":"REQUEST_LIMIT_EXCEEDED"/)
    expect((await proxied('crm', '/contacts')).status).toBe(200)
    for (const { socket } of begun) socket.destroy()
    await eventually(async () => (await callFunction({})).status === 200 || undefined, 'room again')
  })

  test('a loop shows', async () => {
    await callFunction({})
    const via = /^via: (.*)\r$/im.exec(upstream.heads().at(-1) ?? '')?.[1] ?? ''
    const body = JSON.stringify({ connection_name: 'crm', method: 'GET', path: '/' })
    const { json } = await ask('/api/2.0/external-function', { method: 'POST', body, headers: { via } })
    expect(json).toMatchObject({ details: [{ reason: 'loop-detected' }] })
  })
})

describe('refusals', () => {
  test('without a grant the answer is the same whether there is such a connection or not', async () => {
    const [there, missing] = [await proxied('erp', '/a'), await proxied('nothing', '/a')]
    expect(there.json).toEqual(UNGRANTED('erp'))
    expect(missing.json).toEqual(UNGRANTED('nothing'))
    expect((await callFunction({ connection_name: 'erp', sub_domain: 'eu' })).json).toEqual(UNGRANTED('erp'))
    expect((await callFunction({ connection_name: 'nothing' })).json).toEqual(UNGRANTED('nothing'))
    for (const { status, headers } of [there, missing]) {
      expect(status).toBe(403)
      expect(headers.get('content-type')).toBe('application/json')
      expect(headers.get('proxy-status')).toBe('sallyport; error=http_request_denied; details="grant-missing"')
    }
  })

  test.each(['', 'wrong'])('key %j is 401, before anything is read of a body', async (key) => {
    const answer = await ask('/api/2.0/external-function', { method: 'POST', body: 'no JSON', key })
    expect(answer.status).toBe(401)
    expect(answer.json).toEqual(refusal('caller-unknown', 'UNAUTHENTICATED', /Authorization: Bearer KEY/))
    expect(answer.headers.get('www-authenticate')).toContain('Bearer realm="sallyport"')
  })

  test.each(['/', '/crm/a', '/api/2.0/unity-catalog/connections/crm', '/api/2.0/unity-catalog/connections/%2e/proxy'])(
    '%s is no endpoint here',
    async (path) => {
      const { status, json } = await ask(path)
      expect(status).toBe(404)
      expect(json).toEqual(refusal('endpoint-unknown', 'ENDPOINT_NOT_FOUND', /^There is no such endpoint/))
    },
  )

  test('methods of no connection are refused, and the right ones named', async () => {
    const { status, headers } = await proxied('crm', '/a', { method: 'OPTIONS' })
    expect({ status, allow: headers.get('allow') }).toEqual({ status: 405, allow: 'GET, POST, PUT, PATCH, DELETE' })
  })
})

describe('code written for Unity Catalog, with another base URL', () => {
  const env = { ...bareEnvironment('/tmp'), API_KEY: CALLER_KEY }

  test.skipIf(!hasTool('requests'))('Python requests, in the shapes of the proxy and of the SDK', async () => {
    const program = new URL('../clients/programs/unity_catalog.py', import.meta.url).pathname
    const { code, stdout, stderr } = await runProgram(pathOf('python3'), [program, workspace], { env, cwd: '/tmp' })
    expect(code, stderr).toBe(0)
    const { ungranted, missing, ...served } = JSON.parse(stdout)
    for (const one of Object.values(served)) expect(one).toEqual({ status: 200, text: BODY })
    expect(JSON.parse(ungranted.text)).toEqual(UNGRANTED('erp'))
    expect(JSON.parse(missing.text)).toEqual(UNGRANTED('nothing'))
    expect(upstream.bytes()).toContain('{"a": [1]}')
  })

  test.skipIf(!hasTool('curl'))('curl, compressed', async () => {
    const url = `${workspace}/api/2.0/unity-catalog/connections/crm/proxy/zipped`
    const args = ['-sSf', '--compressed', '-H', `Authorization: Bearer ${CALLER_KEY}`, url]
    expect(await runProgram(pathOf('curl'), args, { env, cwd: '/tmp' })).toMatchObject({ code: 0, stdout: BODY })
  })
})
