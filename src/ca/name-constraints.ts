import { isIPv4 } from 'node:net'
import { decode, encode, SEQUENCE } from './der.ts'
import { addressOf } from './names.ts'
import { library, nameConstraintsOf } from './x509.ts'

/** A part of the name space: a DNS name with all below it, or a range of addresses ("10.0.0.7/32"). */
interface Subtree {
  readonly type: 'dns' | 'ip'
  readonly value: string
}

const PERMITTED = 0xa0
const EXCLUDED = 0xa1

/**
 * What an authority may sign at all, so that whoever steals its key can be these hosts and no other: DER of the
 * extension's value. A name stands for itself and all below it; there is no narrower form.
 * @see RFC 5280 section 4.2.1.10
 */
export async function constraintsFor(hosts: readonly string[]): Promise<Buffer<ArrayBuffer>> {
  const permitted = permittedFor(hosts)
  const lists = [
    { tag: PERMITTED, subtrees: permitted },
    { tag: EXCLUDED, subtrees: excludedBeside(permitted) },
  ]
  const encoded = lists
    .filter(({ subtrees }) => subtrees.length > 0)
    .map(async ({ tag, subtrees }) => encode(tag, await Promise.all(subtrees.map(encodeSubtree))))
  return encode(SEQUENCE, await Promise.all(encoded))
}

/** Whether a certificate with these constraints may vouch for all of these hosts. Without constraints, it is not ours. */
export async function isConstrainedTo(hosts: readonly string[], cert: string): Promise<boolean> {
  const der = await nameConstraintsOf(cert)
  const permitted = der ? await permittedIn(der) : []
  return permittedFor(hosts).every((wanted) => permitted.some((subtree) => isWithin(wanted, subtree)))
}

function permittedFor(hosts: readonly string[]): Subtree[] {
  const subtrees = new Map(hosts.map(subtreeOf).map((subtree) => [subtree.value, subtree]))
  return [...subtrees.values()]
}

function subtreeOf(host: string): Subtree {
  const address = addressOf(host)
  if (address !== undefined) return { type: 'ip', value: `${address}/${isIPv4(address) ? 32 : 128}` }
  return { type: 'dns', value: host.startsWith('*.') ? host.slice(2) : host }
}

/** A form of name of which nothing is permitted is not thereby closed. The empty DNS name is all of them. */
function excludedBeside(permitted: readonly Subtree[]): Subtree[] {
  const kinds: readonly (readonly [RegExp, Subtree])[] = [
    [/^dns /, { type: 'dns', value: '' }],
    [/^ip .*\./, { type: 'ip', value: '0.0.0.0/0' }],
    [/^ip .*:/, { type: 'ip', value: '::/0' }],
  ]
  return kinds
    .filter(([kind]) => !permitted.some(({ type, value }) => kind.test(`${type} ${value}`)))
    .map(([, whole]) => whole)
}

function isWithin(wanted: Subtree, subtree: Subtree): boolean {
  if (wanted.type !== subtree.type) return false
  if (wanted.value === subtree.value) return true
  return wanted.type === 'dns' && wanted.value.endsWith(`.${subtree.value}`)
}

async function encodeSubtree({ type, value }: Subtree): Promise<Buffer> {
  const { GeneralName } = await library()
  return encode(SEQUENCE, [new Uint8Array(new GeneralName(type, value).rawData)])
}

async function permittedIn(der: Buffer): Promise<Subtree[]> {
  const [whole] = decode(der)
  const list = decode(whole?.content ?? Buffer.alloc(0)).find(({ tag }) => tag === PERMITTED)
  return Promise.all(decode(list?.content ?? Buffer.alloc(0)).map(({ content }) => decodeSubtree(content)))
}

async function decodeSubtree(content: Buffer): Promise<Subtree> {
  const { GeneralName } = await library()
  const { type, value } = new GeneralName(new Uint8Array(content))
  return { type: type === 'dns' ? 'dns' : 'ip', value }
}
