import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { authority, CALLER_KEY, connectionTo, crmDirectory } from '../../stories/crm.ts'
import { type QuirkIssuer, startQuirkIssuer, tokenAnswer } from '../../support/quirk-issuer.ts'
import { sendRaw } from '../../support/raw-client.ts'
import { eventually, type Running, remove, startSallyport, writeSecret } from '../../support/sallyport.ts'
import { OK, type RawUpstream, startUpstream } from '../../support/upstream.ts'

/** A running sidecar with something of everything that metrics tell of: traffic, refusals, issuers that work and that fail. */
export interface ObservedSite {
  readonly sallyport: Running
  readonly issuer: QuirkIssuer
  /** Where the metrics are: `host:port`. */
  readonly target: string
  /** One round of asks, to each connection and to what is refused. */
  drive(): Promise<void>
  /** The text of one scrape. */
  scrape(): Promise<string>
  close(): Promise<void>
}

const HOSTS = ['api.crm.test', 'minted.test', 'dying.test', 'failing.test', 'person.test', 'broken.test', 'own.test']

export async function openObservedSite(): Promise<ObservedSite> {
  const upstream = await startUpstream(
    (head) => (/^host: broken\.test/im.test(head) ? BAD : OK),
    await authority.issue(HOSTS),
  )
  const issuer = await startQuirkIssuer(await authority.issue(['login.test']))
  let givenAt = Number.NEGATIVE_INFINITY
  issuer.answer(({ target }) => {
    if (target === '/fails') return { status: 503 }
    if (target === '/dies') {
      // None that could be had in time to refresh the one before: for seconds it is good, and its end is near.
      if (performance.now() - givenAt < 28_000) return { status: 503 }
      givenAt = performance.now()
      return tokenAnswer({ expires_in: 30 })
    }
    return tokenAnswer()
  })
  const directory = crmDirectory()
  const door = await authority.issue(['localhost'])
  for (const [name, text] of Object.entries({
    'other-key': OTHER_KEY,
    'operator-key': `operator-${CALLER_KEY}`,
    'store-key': Buffer.alloc(32, 7).toString('base64'),
    'door.pem': door.cert,
    'door.key': door.key,
  }))
    writeSecret(directory, name, text)
  const sallyport = await startSallyport(directory, settingsFor(upstream, issuer))
  const target = sallyport.health ?? ''
  return {
    sallyport,
    issuer,
    target,
    drive: () => drive(sallyport),
    scrape: async () => (await fetch(`http://${target}/metrics`)).text(),
    async close() {
      await sallyport.stop('SIGKILL')
      await upstream.close()
      await issuer.stop()
      remove(directory)
    },
  }
}

const OTHER_KEY = `other-${CALLER_KEY}`
const BAD = [{ send: 'HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\nno' }] as const

function settingsFor(upstream: RawUpstream, issuer: QuirkIssuer): object {
  const minted = (path: string) => ({
    kind: 'client-credentials',
    tokenEndpoint: `https://login.test:${issuer.port}${path}`,
    clientId: 'crm',
    clientSecret: { file: 'credential' },
    tls: { ca: { file: 'ca.pem' } },
    allowPrivate: ['127.0.0.0/8'],
  })
  const person = {
    kind: 'authorization-code',
    authorizationEndpoint: `https://login.test:${issuer.port}/authorize`,
    tokenEndpoint: `https://login.test:${issuer.port}/token`,
    clientId: 'crm',
    clientSecret: { file: 'credential' },
    tls: { ca: { file: 'ca.pem' } },
    allowPrivate: ['127.0.0.0/8'],
  }
  const to = (host: string, more: object) => connectionTo(host, upstream.port, more)
  const connections = {
    crm: connectionTo('api.crm.test', upstream.port),
    minted: to('minted.test', { credential: minted('/token') }),
    dying: to('dying.test', { credential: minted('/dies') }),
    failing: to('failing.test', { credential: minted('/fails') }),
    person: to('person.test', { credential: person }),
    broken: connectionTo('broken.test', upstream.port),
  }
  return {
    listeners: [
      { kind: 'forward', listen: '127.0.0.1:0' },
      { kind: 'forward', listen: '127.0.0.1:0', tls: { certificate: { file: 'door.pem' }, key: { file: 'door.key' } } },
      { kind: 'reverse', listen: 'unix:crm.sock', connection: 'crm' },
    ],
    admin: {
      listen: '127.0.0.1:0',
      operators: { ops: { role: 'admin', proof: { kind: 'api-key', key: { file: 'operator-key' } } } },
    },
    health: { listen: '127.0.0.1:0', metrics: true },
    store: { kind: 'sqlite', path: 'state/store.db', key: { file: 'store-key' } },
    ca: 'ephemeral',
    allowlist: HOSTS,
    callers: {
      checkout: { kind: 'api-key', key: { file: 'checkout' } },
      reporting: { kind: 'api-key', key: { file: 'other-key' } },
    },
    connections,
    grants: Object.keys(connections).map((connection) => ({ caller: 'checkout', connection })),
    dns: { hosts: Object.fromEntries([...HOSTS, 'login.test'].map((host) => [host, ['127.0.0.1']])) },
  }
}

async function drive(sallyport: Running): Promise<void> {
  const door = sallyport.doors[0]?.address ?? 'none'
  const ask = (host: string, proof = basic('checkout', CALLER_KEY)) =>
    sendRaw(door, `GET http://${host}/ HTTP/1.1\r\nHost: ${host}\r\n${proof}Connection: close\r\n\r\n`)
  for (const host of HOSTS) await ask(host)
  await ask('evil.test')
  await ask('api.crm.test', basic('reporting', OTHER_KEY))
  await ask('api.crm.test', '')
}

function basic(caller: string, key: string): string {
  return `Proxy-Authorization: Basic ${Buffer.from(`${caller}:${key}`).toString('base64')}\r\n`
}

/** Makes the files of the door such as nobody could use, until it is told so. */
export async function spoilDoorCertificate({ sallyport, scrape }: ObservedSite): Promise<void> {
  appendFileSync(
    join(sallyport.directory, 'door.pem'),
    '-----BEGIN CERTIFICATE-----\nbm8=\n-----END CERTIFICATE-----\n',
  )
  await eventually(
    async () => (/^sallyport_file_reload_failing\{file="door.pem"\} 1$/m.test(await scrape()) ? true : undefined),
    'the file to be found wrong',
  )
}
