import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { ClientRequest } from 'node:http'
import type { Duplex } from 'node:stream'
import { connect } from 'node:tls'
import { certificatesIn } from '../../ca/pem.ts'
import { http } from '../../wire/node-http.ts'
import { codeOf, opening } from '../../wire/opening.ts'
import type { Found } from './authority.ts'
import { examine, type Told } from './finding.ts'
import { basicProof } from './identity.ts'
import type { Site } from './site.ts'
import { type Visit, visitTo } from './visit.ts'

/**
 * Whether a sidecar that runs serves the authority that is on the disk: after `ca rotate` it goes on with the old one until
 * it is started again. It is asked as a client would ask, and nothing goes upstream.
 */
export async function servedTold(site: Site, found: Found): Promise<readonly Told[]> {
  const visit = await visitTo(site)
  if (!visit) return [{ subject: 'sidecar', state: 'skipped', says: NO_VISIT }]
  return examine(visit.subject, (signal) => look(visit, found, signal))
}

const NO_VISIT =
  'which authority it serves cannot be looked at: no caller whose key the settings give may ask for an intercepted host'

async function look(visit: Visit, { certificate, bundle }: Found, signal: AbortSignal): Promise<readonly Told[]> {
  const { subject } = visit
  const answer = await openTunnel(visit, signal)
  // That nobody listens has been told already, with the door.
  if ('code' in answer) return []
  if ('refusal' in answer) return [{ subject, state: 'warning', ...otherSettings(visit, answer.refusal) }]
  const leaf = await presented(answer.socket, visit.host, signal)
  if (isFrom(leaf, certificate)) return [{ subject, state: 'ok', says: 'serves the authority that is on disk' }]
  const trusting = await readFile(bundle, 'utf8').then(certificatesIn, () => [])
  const also = trusting.some((pem) => isFrom(leaf, pem)) ? '' : `, and than ${bundle} holds`
  const says = `the sidecar serves another authority than is on disk${also}: clients refuse it`
  return [{ subject, state: 'failed', says, remedy: 'restart it, and it serves the one on disk' }]
}

function otherSettings({ caller, host }: Visit, refusal: string): Pick<Told, 'says' | 'remedy'> {
  const says = `which authority it serves cannot be looked at: CONNECT to ${host} as ${caller} was answered by ${refusal}`
  return { says, remedy: 'restart it, if its settings are others than these' }
}

type Answer = { readonly socket: Duplex } | { readonly refusal: string } | { readonly code: string }

async function openTunnel({ place, host, port, caller, key }: Visit, signal: AbortSignal): Promise<Answer> {
  const to = place.kind === 'unix' ? { socketPath: place.path } : { host: place.host, port: place.port }
  const path = `${host}:${port}`
  const headers = { host: path, ...(key !== undefined && basicProof(caller, key)) }
  const asked = http.request({ ...to, method: 'CONNECT', path, headers, signal, agent: false })
  try {
    return await tunnelOf(asked)
  } catch (error) {
    if (signal.aborted) throw error
    return { code: codeOf(error) }
  }
}

function tunnelOf(asked: ClientRequest): Promise<Answer> {
  return new Promise((resolve, reject) => {
    asked.once('error', reject).once('connect', ({ statusCode, headers }, socket) => {
      if (statusCode === 200) return resolve({ socket })
      socket.destroy()
      const code = /details="([^"]+)"/.exec(String(headers['proxy-status']))?.[1]
      resolve({ refusal: `${statusCode}${code === undefined ? '' : ` ${code}`}` })
    })
    asked.end()
  })
}

/** Not verified: it is what is to be looked at. */
async function presented(socket: Duplex, host: string, signal: AbortSignal): Promise<X509Certificate> {
  const secured = connect({ socket, servername: host, rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] })
  try {
    const { raw } = (await opening(secured, 'secureConnect', signal)).getPeerCertificate()
    return new X509Certificate(raw)
  } finally {
    // Ended and not cut off, so that in the record it is no client that refused the certificate.
    secured.end(() => secured.destroy())
  }
}

function isFrom(leaf: X509Certificate, pem: string): boolean {
  const { publicKey, subject } = new X509Certificate(pem)
  return leaf.issuer === subject && leaf.verify(publicKey)
}
