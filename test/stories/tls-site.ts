import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import { onTestFinished } from 'vitest'
import { type Identity, makeOddRoot, type OddAuthority } from '../support/certificates.ts'
import { type Running, startSallyport } from '../support/sallyport.ts'
import { crmDirectory, crmSettings, stopCrm } from './crm.ts'

/** Everybody who signs certificates in these stories. */
export interface Signers {
  /** Of the doors themselves. */
  readonly doors: OddAuthority
  /** `clientCa` of the doors. */
  readonly clients: OddAuthority
  /** The trust domain prod.test, and another one. */
  readonly prod: OddAuthority
  readonly partner: OddAuthority
}

/** Makes one of each. */
export async function makeSigners(): Promise<Signers> {
  const [doors, clients, prod, partner] = await Promise.all([
    makeOddRoot(),
    makeOddRoot(),
    makeOddRoot(),
    makeOddRoot(),
  ])
  return { doors, clients, prod, partner }
}

/** A directory with what TLS doors need: door.pem and door.key, clients.pem, prod.pem, partner.pem. */
export async function tlsDirectory({ doors, clients, prod, partner }: Signers): Promise<string> {
  const directory = crmDirectory()
  const put = (name: string, text: string) => writeFileSync(join(directory, name), text, { mode: 0o600 })
  const own = await doors.issue({ dns: ['localhost', 'door.test'], uris: [] })
  put('door.pem', own.cert)
  put('door.key', own.key)
  put('clients.pem', clients.certPem)
  put('prod.pem', prod.certPem)
  put('partner.pem', partner.certPem)
  return directory
}

/** `tls` of a listener, as `tlsDirectory` has its files. */
export const DOOR_TLS = {
  certificate: { file: 'door.pem' },
  key: { file: 'door.key' },
  clientCa: { file: 'clients.pem' },
}

/** A forward and a reverse TLS door; callers by key, by certificate and by SVID; all of them may use `crm`. */
export function tlsSettings(port: number, more: Readonly<Record<string, unknown>> = {}): object {
  const bundles = { 'prod.test': { file: 'prod.pem' }, 'partner.test': { file: 'partner.pem' } }
  return crmSettings({
    port,
    connection: { websocket: true },
    settings: {
      listeners: [
        { kind: 'forward', listen: '127.0.0.1:0', tls: DOOR_TLS },
        { kind: 'reverse', listen: '127.0.0.1:0', connection: 'crm', tls: DOOR_TLS, hostnames: ['door.test'] },
      ],
      ca: { directory: 'ca' },
      callers: {
        checkout: { kind: 'api-key', key: { file: 'checkout' } },
        payments: { kind: 'mtls', dns: 'payments.test' },
        mesh: { kind: 'spiffe', name: '{trustDomain}/{path}', bundles },
      },
      grants: ['checkout', 'payments', 'prod.test/ns/a/sa/web'].map((caller) => ({ caller, connection: 'crm' })),
      ...more,
    },
  })
}

/** A sidecar with TLS doors, for one test. */
export async function startTlsSite(
  signers: Signers,
  port: number,
  more?: Readonly<Record<string, unknown>>,
): Promise<Running> {
  const running = await startSallyport(await tlsDirectory(signers), tlsSettings(port, more))
  onTestFinished(() => stopCrm(running))
  return running
}

/** A client certificate as options of a connection; `sent`: PEM of what goes with it. */
export function showing({ cert, key }: Identity, sent = ''): ConnectionOptions {
  return { cert: `${cert}${sent}`, key }
}

/** TLS to a door. Rejects with the error of the handshake. Closed with the test. */
export function openTls(address: string, options: ConnectionOptions): Promise<TLSSocket> {
  const at = address.lastIndexOf(':')
  return new Promise((resolve, reject) => {
    const socket = connect({
      host: address.slice(0, at),
      port: Number(address.slice(at + 1)),
      servername: 'localhost',
      ...options,
    })
    // Some stories ask on one connection until something changes.
    socket.setMaxListeners(0)
    onTestFinished(() => void socket.destroy())
    socket.once('error', reject)
    socket.once('secureConnect', () => {
      socket.off('error', reject).on('error', () => undefined)
      resolve(socket)
    })
  })
}
