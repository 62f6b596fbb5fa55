import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { pathOf } from '../support/debian.ts'
import { helloFor } from '../support/hello.ts'
import { canMakeNetworks } from '../support/networks.ts'
import { eventually, runCli } from '../support/sallyport.ts'
import { CREDENTIAL } from './crm.ts'
import {
  API,
  APP_UID,
  documentedRules,
  droppedPackets,
  ELSEWHERE,
  FREE_UID,
  OTHER_UID,
  openSite,
  rulesFor,
  runApp,
  type Seen,
  type Site,
  seenSoFar,
  sendFrom,
} from './redirected.ts'

const REAL = 'from the real server\n'
const curl = [pathOf('curl'), '--silent', '--show-error', '--max-time', '15']

/** Alerts as bytes of a record: unrecognized_name, and access_denied. @see RFC 8446 section 6 */
const UNRECOGNIZED = '15030300020270'
const DENIED = '15030300020231'

if (!canMakeNetworks())
  process.stderr.write('\nWARNING: transparent doors are not tested: that takes root on Linux, nft and ip.\n\n')

// In this order: the last one stops it.
describe.skipIf(!canMakeNetworks())('a transparent door', { shuffle: false }, () => {
  let site: Site

  beforeAll(async () => {
    site = await openSite()
  })

  afterAll(async () => {
    await site?.close()
  })

  function curlAs(uid: number, ...args: readonly string[]) {
    return runApp(site, uid, [...curl, '--cacert', site.caFile, ...args])
  }

  /** The entries of what a test has asked for, once there are so many. */
  async function entriesOf(wanted: object, count = 1): Promise<Record<string, unknown>[]> {
    return eventually(
      async () => {
        const all = await site.sallyport.audit(0)
        const found = all.filter((entry) => Object.entries(wanted).every(([key, value]) => entry[key] === value))
        return found.length >= count ? found : undefined
      },
      `${count} entries of ${JSON.stringify(wanted)}`,
    )
  }

  function requestFor(path: string): Promise<Seen> {
    return eventually(() => site.seen().find(({ request }) => request === `GET ${path}`), `a request for ${path}`)
  }

  test.each([
    ['-4', 'IPv4', `${API.ipv4}:443`],
    ['-6', 'IPv6', `[${API.ipv6}]:443`],
  ])('curl %s knows no proxy, and its request arrives with the credential: %s', async (flag, family, original) => {
    const { out, err } = await curlAs(APP_UID, flag, `https://api.crm.test/${family}`)
    expect(out, err).toBe(REAL)
    expect((await requestFor(`/${family}`)).headers?.['authorization']).toBe(`Bearer ${CREDENTIAL}`)
    const [request] = await entriesOf({ path: `/${family}` })
    expect(request).toMatchObject({ caller: 'app', proof: 'socket', connection: 'crm', originalDestination: original })
    const [tunnel] = await entriesOf({ method: 'CONNECT', originalDestination: original })
    expect(tunnel).toMatchObject({ host: 'api.crm.test', port: 443, tunnel: 'opened', decision: 'permit' })
  })

  test('so does that of Node and of Python, and HTTP/2 is spoken inside', async () => {
    const fetching = `fetch('https://api.crm.test/node').then((answer) => answer.text()).then((text) => process.stdout.write(text))`
    expect((await runApp(site, APP_UID, [process.execPath, '--eval', fetching])).out).toBe(REAL)
    const opening = `import urllib.request as r; print(r.urlopen('https://api.crm.test/python').read().decode(), end='')`
    expect((await runApp(site, APP_UID, [pathOf('python3'), '-c', opening])).out).toBe(REAL)
    const { out } = await curlAs(APP_UID, '--http2', '--write-out', '%{http_version}', 'https://api.crm.test/h2')
    expect(out).toBe(`${REAL}2`)
    for (const path of ['/node', '/python', '/h2'])
      expect((await requestFor(path)).headers?.['authorization']).toBe(`Bearer ${CREDENTIAL}`)
  })

  test('plain HTTP leaves as verified HTTPS, with our credential instead of the one of the app', async () => {
    const own = ['--header', 'Authorization: Bearer of-the-app', '--header', 'Proxy-Authorization: Basic eDp5']
    const { out, err } = await curlAs(APP_UID, '-4', ...own, 'http://api.crm.test/plain')
    expect(out, err).toBe(REAL)
    const { headers } = await requestFor('/plain')
    expect(headers?.['authorization']).toBe(`Bearer ${CREDENTIAL}`)
    expect(headers).not.toHaveProperty('proxy-authorization')
    const [entry] = await entriesOf({ path: '/plain' })
    expect(entry).toMatchObject({
      door: 'transparent 127.0.0.1:15002',
      caller: 'app',
      originalDestination: `${API.ipv4}:80`,
      status: 200,
    })
    expect((await seenSoFar(site)).filter(({ connection }) => connection?.endsWith(' 80'))).toEqual([])
  })

  test('a connection that tunnels is passed on unread: the app sees the certificate of the server itself', async () => {
    const own = ['--cacert', join(site.sallyport.directory, 'ca.pem')]
    const { out, err } = await runApp(site, APP_UID, [...curl, ...own, 'https://unread.test/unread'])
    expect(out, err).toBe(REAL)
    expect((await requestFor('/unread')).headers).not.toHaveProperty('authorization')
    const [entry] = await entriesOf({ method: 'CONNECT', host: 'unread.test' })
    expect(entry).toMatchObject({ tunnel: 'unopened', status: 200, ended: 'complete' })
  })

  test.each([
    ['elsewhere.test', 'host-not-allowed'],
    ['ungranted.test', 'grant-missing'],
  ])('TLS for %s is refused by an alert, recorded as %s, and nothing leaves', async (host, code) => {
    const before = await seenSoFar(site)
    const { code: exit, err } = await curlAs(APP_UID, '-4', `https://${host}/refused`)
    expect(exit).toBe(35)
    expect(err).toMatch(/alert access denied/)
    const plain = await curlAs(APP_UID, '-4', '--write-out', '%{http_code}', `http://${host}/refused`)
    expect(plain.out).toMatch(new RegExp(`"code":"${code}".*\\n403$`))
    const entries = await entriesOf({ host, code }, 2)
    expect(entries).toMatchObject([{ method: 'CONNECT', caller: 'app', decision: 'refuse' }, { method: 'GET' }])
    expect(await seenSoFar(site)).toEqual(before)
  })

  test('a name that is elsewhere for the app goes where it is for us, and the record tells both', async () => {
    const lie = ['--connect-to', `api.crm.test:443:${ELSEWHERE.ipv4}:443`]
    const { out, err } = await curlAs(APP_UID, ...lie, 'https://api.crm.test/lie')
    expect(out, err).toBe(REAL)
    const [entry] = await entriesOf({ path: '/lie' })
    expect(Object.values<unknown>(API)).toContain(entry?.['upstreamAddress'])
    expect(entry).toMatchObject({ originalDestination: `${ELSEWHERE.ipv4}:443` })
    expect((await seenSoFar(site)).filter(({ connection }) => connection?.startsWith(ELSEWHERE.ipv4))).toEqual([])
  })

  test.each([
    ['no server name', async () => helloFor(undefined), UNRECOGNIZED],
    ['an address as server name', async () => helloFor(API.ipv4), UNRECOGNIZED],
    ['a server name that is no host', async () => helloFor('api_crm..test'), UNRECOGNIZED],
    ['another allowed host behind one that is not', async () => helloFor('x.api.crm.test'), DENIED],
    ['a broken ClientHello', async () => Buffer.from('16030100050200000100', 'hex'), '15030300020232'],
  ])('TLS with %s is closed by an alert, and recorded', async (_what, bytes, alert) => {
    const host = `203.0.113.${20 + attempts++}`
    const { out } = await sendFrom(site, { host, port: 443 }, await bytes())
    expect(out).toBe(`${alert}\nclosed\n`)
    const [entry] = await entriesOf({ originalDestination: `${host}:443` })
    expect(entry).toMatchObject({
      method: 'CONNECT',
      caller: 'app',
      decision: 'refuse',
      code: alert === DENIED ? 'host-not-allowed' : 'destination-unnamed',
    })
  })
  let attempts = 0

  test.each([
    ['no Host', 'GET / HTTP/1.0\r\n\r\n', 'destination-unnamed'],
    ['an address as Host', `GET / HTTP/1.1\r\nHost: ${API.ipv4}\r\n\r\n`, 'destination-unnamed'],
    ['another port in Host', 'GET / HTTP/1.1\r\nHost: api.crm.test:443\r\n\r\n', 'authority-mismatch'],
    ['a target of a proxy', 'GET http://api.crm.test/ HTTP/1.1\r\nHost: api.crm.test\r\n\r\n', 'target-malformed'],
    ['a CONNECT', 'CONNECT api.crm.test:443 HTTP/1.1\r\nHost: api.crm.test:443\r\n\r\n', 'connect-refused'],
    ['junk', 'EHLO api.crm.test\r\n', 'request-malformed'],
  ])('plain HTTP with %s is refused in words, and recorded', async (_what, bytes, code) => {
    const host = `203.0.113.${40 + attempts++}`
    const { out } = await sendFrom(site, { host, port: 80 }, bytes)
    const answer = Buffer.from(out.split('\n')[0] ?? '', 'hex').toString('latin1')
    expect(answer).toContain(`details="${code}"`)
    expect(await entriesOf({ originalDestination: `${host}:80` })).toMatchObject([{ code, decision: 'refuse' }])
  })

  test('whatever comes first, and however it ends: one entry a connection, and nothing ends the process', async () => {
    const program = new URL('../support/hostile-bytes.ts', import.meta.url).pathname
    const hello = (await helloFor('api.crm.test')).toString('hex')
    const { code, err } = await runApp(site, APP_UID, [process.execPath, program, '203.0.113.90', hello, '200', '1'])
    expect(code, err).toBe(0)
    await entriesOf({ originalDestination: '203.0.113.90:443' }, 200)
    expect(site.sallyport.output()).not.toMatch(/"level":"?(?:error|fatal|50|60)/)
    expect((await curlAs(APP_UID, 'https://api.crm.test/alive')).out).toBe(REAL)
    await entriesOf({ path: '/alive' })
    expect(await entriesOf({ originalDestination: '203.0.113.90:443' }, 200)).toHaveLength(200)
  })

  test('an app that waits for the server to speak first is closed in time, and recorded', async () => {
    const { out } = await sendFrom(site, { host: ELSEWHERE.ipv4, port: 8080 }, '')
    expect(out).toBe('closed\n')
    const [entry] = await entriesOf({ originalDestination: `${ELSEWHERE.ipv4}:8080` })
    expect(entry).toMatchObject({ code: 'destination-unnamed', reason: 'no whole ClientHello in time', caller: 'app' })
  })

  test('a connection that leaves without a word is recorded, too', async () => {
    const script = `const s = require('node:net').connect(443, '203.0.113.99', () => s.end())`
    await runApp(site, APP_UID, [process.execPath, '--eval', script])
    const [entry] = await entriesOf({ originalDestination: '203.0.113.99:443' })
    expect(entry).toMatchObject({ code: 'destination-unnamed', caller: 'app' })
  })

  test('what is not redirected does not leave at all', async () => {
    const [before, dropped] = [await seenSoFar(site), droppedPackets(site)]
    const { code } = await runApp(site, APP_UID, [...curl, '--connect-timeout', '2', `telnet://${API.ipv4}:22`])
    expect(code).toBe(28)
    expect(droppedPackets(site)).toBeGreaterThan(dropped)
    expect(await seenSoFar(site)).toEqual(before)
  })

  test('whoever comes to the door itself was not redirected, and is nobody there', async () => {
    const plain = await curlAs(
      APP_UID,
      '--write-out',
      '%{http_code}',
      '--header',
      'Host: api.crm.test',
      'http://127.0.0.1:15002/',
    )
    expect(plain.out).toMatch(/"code":"not-redirected".*\n421$/)
    const toItself = ['--connect-to', 'api.crm.test:443:[::1]:15002']
    expect((await curlAs(APP_UID, ...toItself, 'https://api.crm.test/direct')).code).toBe(35)
    const entries = await entriesOf({ code: 'not-redirected' }, 2)
    expect(entries.map(({ caller }) => caller)).toEqual([undefined, undefined])
  })

  test('the rules say who asks: another user comes to a door of its own, and to no other', async () => {
    const { code } = await curlAs(OTHER_UID, '-4', 'https://api.crm.test/other')
    expect(code).toBe(35)
    expect(await entriesOf({ caller: 'other' })).toMatchObject([
      { code: 'grant-missing', door: 'transparent 127.0.0.1:15003', originalDestination: `${API.ipv4}:443` },
    ])
    const direct = ['--connect-to', 'api.crm.test:443:127.0.0.1:15002']
    expect((await curlAs(OTHER_UID, ...direct, 'https://api.crm.test/other')).code).toBe(35)
    expect((await seenSoFar(site)).filter(({ request }) => request === 'GET /other')).toEqual([])
  })

  test('one request is recorded as one, beside its connection: what we dial ourselves does not come back', async () => {
    const began = new Date().toISOString()
    await curlAs(APP_UID, '-4', 'https://api.crm.test/once')
    // What an earlier test began may be recorded only now: an entry tells when its ask had arrived.
    const entries = await eventually(async () => {
      const found = (await site.sallyport.audit(0)).filter(({ time }) => String(time) >= began)
      return found.length >= 2 ? found : undefined
    }, 'entries of the request and of its connection')
    expect(new Set(entries.map(({ method }) => method))).toEqual(new Set(['CONNECT', 'GET']))
    expect(entries).toHaveLength(2)
  })

  test('the rules of the reference do as it says', async () => {
    site.networks.pod.rules(documentedRules())
    expect((await curlAs(APP_UID, '-6', 'https://api.crm.test/documented')).out).toBe(REAL)
    expect((await curlAs(APP_UID, '-4', 'http://api.crm.test/documented')).out).toBe(REAL)
    const before = await seenSoFar(site)
    const away = [...curl, '--connect-timeout', '1', `telnet://[${API.ipv6}]:22`]
    expect((await runApp(site, APP_UID, away)).code).toBe(28)
    expect(await seenSoFar(site)).toEqual(before)
    site.networks.pod.rules(rulesFor())
  })

  test('so do those that `export nftables` prints', async () => {
    const config = join(site.sallyport.directory, 'sallyport.yaml')
    const { stdout, stderr } = await runCli(['export', 'nftables', '--config', config, '--redirect-to', '15002'])
    expect(stdout, stderr).toMatch(/redirect to :15002/)
    site.networks.pod.rules(stdout)
    for (const family of ['-4', '-6'])
      expect((await curlAs(APP_UID, family, 'https://api.crm.test/exported')).out).toBe(REAL)
    expect((await curlAs(APP_UID, '-4', 'https://elsewhere.test/exported')).err).toMatch(/alert access denied/)
    const before = await seenSoFar(site)
    expect((await runApp(site, APP_UID, [...curl, '--connect-timeout', '2', `telnet://${API.ipv4}:22`])).code).not.toBe(
      0,
    )
    expect(await seenSoFar(site)).toEqual(before)
    site.networks.pod.rules(rulesFor())
  })

  test('rules that forget to leave us out end in one refusal, and in no loop', async () => {
    site.networks.pod.rules(rulesFor(`meta skuid ${FREE_UID} accept`))
    const { code } = await curlAs(
      APP_UID,
      '-4',
      '--cacert',
      join(site.sallyport.directory, 'ca.pem'),
      'https://unread.test/',
    )
    site.networks.pod.rules(rulesFor())
    expect(code).toBe(35)
    expect(await entriesOf({ code: 'loop-detected' })).toHaveLength(1)
    expect(site.sallyport.output()).toMatch(/a socket of our own was redirected/)
  })

  test('a silent connection does not keep it from closing', async () => {
    const silent = sendFrom(site, { host: ELSEWHERE.ipv4, port: 443 }, '')
    await eventually(() => isConnected(site) || undefined, 'the connection')
    const begun = performance.now()
    expect(await site.sallyport.stop()).toBe(0)
    // Less than the ten seconds that it has to drain.
    expect(performance.now() - begun).toBeLessThan(8_000)
    expect((await silent).out).toBe('closed\n')
  })

  function isConnected({ networks }: Site): boolean {
    const wanted = ['state', 'established', 'sport', '=', ':15002']
    return networks.pod.run('/usr/bin/ss', '--tcp', '--numeric', '--no-header', ...wanted) !== ''
  }
})
