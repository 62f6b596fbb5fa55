import { randomBytes } from 'node:crypto'
import { expect, onTestFinished, test } from 'vitest'
import { injectionKinds } from '../../src/injections/registry.ts'
import { sendRaw, WHOLE_ANSWER } from '../support/raw-client.ts'
import { CALLER_KEY, CREDENTIAL, doorOf } from './crm.ts'
import { askTraced, MINTED, nextPath, PARENT, spansOf, startTraced } from './traced.ts'

const HELD = 'held-by-sallyport'
/** What callers send along, and no collector is to see. */
const QUERY = `query-${randomBytes(16).toString('hex')}`
const USER = `user-${randomBytes(16).toString('hex')}`

/** A connection for each kind of injection that needs no more than a static credential. */
const INJECTIONS = {
  bearer: { kind: 'bearer' },
  header: { kind: 'header', name: 'X-Key' },
  basic: { kind: 'basic', user: 'robot' },
  query: { kind: 'query', name: 'key' },
  cookie: { kind: 'cookie', name: 'session' },
  template: { kind: 'template', headers: { 'X-Api-Key': 'Token {credential}' } },
  git: { kind: 'git-basic' },
  placed: { kind: 'placeholder', placeholder: HELD, in: { header: 'X-Key' } },
  asked: { kind: 'placeholder', placeholder: HELD, in: { query: 'key' } },
  json: { kind: 'placeholder', placeholder: HELD, in: { json: '/token' } },
}

test('no secret is in any byte that a collector gets, however it is injected, shown or sent along', async () => {
  const site = await startTraced({
    connections: Object.fromEntries(
      Object.entries(INJECTIONS).map(([name, inject]) => [name, { inject, propagateTrace: true }]),
    ),
    traces: { compression: 'none', headers: { 'x-api-key': { file: 'checkout' } } },
    settings: { callers: { checkout: { kind: 'api-key', key: { file: 'checkout' } } } },
  })
  onTestFinished(() => site.close())
  const paths = new Map<string, string>()
  for (const name of [...Object.keys(INJECTIONS), 'minted', 'failing', 'nobody']) {
    const path = nextPath()
    paths.set(name, path)
    const placed = name === 'placed' ? `X-Key: ${HELD}\r\n` : ''
    const query = `?user=${QUERY}&${QUERY}${name === 'asked' ? `&key=${HELD}` : ''}`
    const body = JSON.stringify({ token: HELD })
    const json =
      name === 'json' ? `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}` : '\r\n'
    const host = `${name}.crm.test`
    const fields = `${PARENT}Proxy-Authorization: Basic ${Buffer.from(`checkout:${CALLER_KEY}`).toString('base64')}\r\n`
    const more = `Cookie: id=${USER}\r\nAuthorization: Bearer ${USER}\r\nbaggage: user=${USER}\r\nReferer: https://${USER}/\r\nUser-Agent: ${USER}\r\n`
    const head = `POST http://${host}${path}${query} HTTP/1.1\r\nHost: ${host}\r\n${fields}${more}${placed}${json}`
    const { status } = await sendRaw(doorOf(site.running, 'forward'), head, { until: WHOLE_ANSWER })
    expect([name, status]).toEqual([name, name === 'failing' ? 502 : name === 'nobody' ? 403 : 200])
  }
  const wrong = `http://told.crm.test/wrong HTTP/1.1\r\nHost: told.crm.test\r\nProxy-Authorization: Basic ${btoa(`checkout:${USER}`)}\r\n\r\n`
  await sendRaw(doorOf(site.running, 'forward'), `GET ${wrong}`, { until: WHOLE_ANSWER })
  await sendRaw(
    doorOf(site.running, 'forward'),
    `GET http://${USER}:${USER}@told.crm.test/ HTTP/1.1\r\nHost: x\r\n\r\n`,
    { until: WHOLE_ANSWER },
  )
  await askTraced(site, 'told', '/last')
  await spansOf(site, '/last')
  for (const [name, path] of paths) {
    const [, client] = await spansOf(site, path)
    if (client) expect([name, client.attributes['url.full']]).toEqual([name, expect.stringMatching(/\?REDACTED$/)])
  }
  // What was injected did go upstream: the test would see it.
  for (const secret of [CREDENTIAL, MINTED, QUERY]) expect(site.upstream.bytes()).toContain(secret)
  expect(site.collector.requests.every(({ headers }) => headers['x-api-key'] === CALLER_KEY)).toBe(true)
  const exported = site.collector.bodies.join('\n')
  expect(exported.length).toBeGreaterThan(10_000)
  for (const secret of [CREDENTIAL, CALLER_KEY, QUERY, USER, MINTED]) {
    const forms = [secret, Buffer.from(secret).toString('base64').slice(0, -4), Buffer.from(secret).toString('hex')]
    for (const form of forms) expect(exported.includes(form)).toBe(false)
  }
  expect(exported).not.toContain(HELD)
  expect(site.running.output()).not.toContain(CREDENTIAL)
})

test('paths that are left out are in no span at all', async () => {
  const site = await startTraced({ traces: { paths: 'omit', compression: 'none' } })
  onTestFinished(() => site.close())
  await askTraced(site, 'told', '/people/alice?q=1')
  await site.running.stop()
  const [client, server] = site.collector.spans
  expect(client?.attributes['url.full']).toBe(`https://told.crm.test:${site.upstream.port}/REDACTED?REDACTED`)
  expect(server?.attributes).not.toHaveProperty('url.path')
  expect(site.collector.bodies.join()).not.toContain('alice')
})

test('every kind of injection that there is has had its turn, or is named here', () => {
  const elsewhere = ['dpop']
  const shown = new Set(Object.values(INJECTIONS).map(({ kind }) => kind))
  expect(Object.keys(injectionKinds).filter((kind) => !shown.has(kind) && !elsewhere.includes(kind))).toEqual([])
})
