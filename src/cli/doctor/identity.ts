import { http } from '../../wire/node-http.ts'
import { codeOf } from '../../wire/opening.ts'
import { responseTo } from './admin.ts'
import { environmentLine } from './environment-line.ts'
import type { Told } from './finding.ts'
import type { Site } from './site.ts'

/** Where a forward listener is. */
export interface Door {
  readonly host: string
  readonly port: number
}

/** A variable that leads to a door, and its value. */
export interface Lead {
  readonly subject: string
  readonly door: Door
  /** May hold a key: no more than its address is ever told. */
  readonly proxy: URL
}

/** Whether the sidecar behind a door knows whom a proxy variable speaks for: it is asked, with that very proof. */
export async function callerTold({ subject, ...lead }: Lead, site: Site, signal: AbortSignal): Promise<Told> {
  return { subject, ...told(await ask(lead, signal), lead.proxy, site) }
}

/** What a door said to a request that it refuses to everybody. */
type Answer = { readonly status: number; readonly isOurs: boolean } | { readonly code: string }

async function ask({ door, proxy }: Omit<Lead, 'subject'>, signal: AbortSignal): Promise<Answer> {
  const headers = { host: NOWHERE, ...proofOf(proxy) }
  const asked = http.get({ ...door, path: `http://${NOWHERE}/`, headers, signal, agent: false })
  try {
    const { statusCode = 0, headers } = await responseTo(asked)
    return { status: statusCode, isOurs: String(headers['proxy-status']).startsWith('sallyport') }
  } catch (error) {
    if (signal.aborted) throw error
    return { code: codeOf(error) }
  } finally {
    asked.destroy()
  }
}

/** A name that cannot exist; in the audit it says who asked. @see RFC 6761 section 6.4 */
const NOWHERE = 'sallyport-doctor.invalid'

function proofOf({ username, password }: URL): { 'proxy-authorization'?: string } {
  if (username === '' && password === '') return {}
  return basicProof(decoded(username), decoded(password))
}

/** A caller's key as a field of a request. */
export function basicProof(name: string, key: string): { 'proxy-authorization': string } {
  return { 'proxy-authorization': `Basic ${Buffer.from(`${name}:${key}`).toString('base64')}` }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function told(answer: Answer, proxy: URL, site: Site): Omit<Told, 'subject'> {
  if ('code' in answer) return { state: 'skipped', says: `nobody answers at ${proxy.host} (${answer.code})` }
  if (!answer.isOurs)
    return { state: 'failed', says: `what answers at ${proxy.host} is no Sallyport`, remedy: environmentLine(site) }
  const caller = callerIn(proxy, site)
  if (answer.status !== 407)
    return { state: 'ok', says: `the sidecar at ${proxy.host} knows this caller${caller ? `, ${caller}` : ''}` }
  const says = `the sidecar does not know this caller: ${whyUnknown(proxy, caller, site)}`
  return { state: 'failed', says, remedy: environmentLine(site, caller) }
}

/** Its name, when it is that of a caller: anything else there may be a key that was put in the wrong place. */
function callerIn({ username }: URL, { loaded }: Site): string | undefined {
  const name = decoded(username)
  return Object.hasOwn(loaded.settings.callers, name) ? name : undefined
}

function whyUnknown({ username, password }: URL, caller: string | undefined, { loaded }: Site): string {
  if (username === '' && password === '') return 'the variable holds no key'
  if (password === '') return 'the key in the variable is empty'
  if (caller !== undefined) return `the key in the variable is not that of ${caller}`
  return `the name in the variable is none of ${Object.keys(loaded.settings.callers).join(', ')}`
}
