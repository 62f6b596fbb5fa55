import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ConnectionOptions, TLSSocket } from 'node:tls'
import { expect, onTestFinished } from 'vitest'
import { eventually } from '../support/sallyport.ts'
import { openTunnel, secureTunnel, type Tunnel, talk } from '../support/tunnel.ts'
import type { Siege, Sight } from './siege.ts'

/** The certificate by which clients of a siege know us: it was started with `ca: { directory: ca }`. */
export function ourCa({ directory }: Pick<Siege, 'directory'>): string {
  return readFileSync(join(directory, 'ca', 'ca.pem'), 'utf8')
}

interface Wishes {
  readonly host?: string
  readonly port?: number
  /** Header lines of a template; alpha's proof without it. */
  readonly fields?: string
  readonly early?: Buffer | string
}

/** Asks the forward door for a tunnel, with the proof of alpha, to the port of the upstream. */
export async function askTunnel(siege: Siege, wishes: Wishes = {}): Promise<Tunnel> {
  const { host = 'api.test', port = siege.upstream.port, fields = '{P}', early = '' } = wishes
  const lines = siege.bytes('forward', fields).toString('latin1')
  const tunnel = await openTunnel(siege.forward, `${host}:${port}`, { fields: lines, early })
  onTestFinished(() => void tunnel.socket.destroy())
  return tunnel
}

/** The same, and it is open. */
export async function tunnelTo(siege: Siege, wishes: Wishes = {}): Promise<Tunnel['socket']> {
  const { socket, status, text } = await askTunnel(siege, wishes)
  expect(status, text).toBe(200)
  return socket
}

/** TLS in a tunnel, with a client that trusts us. */
export async function inside(siege: Siege, host = 'api.test', options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = await tunnelTo(siege, { host })
  return secureTunnel(socket, host, { ca: ourCa(siege), ...options })
}

/** A whole answer of the upstream, or a whole refusal. */
const WHOLE = /\r\n\r\n[\s\S]*(?:ok|\}\n)$/
const NEVER = /(?!)/

/** Sends a template inside a tunnel of alpha's; `{H}` is Host as the tunnel has it. `until`: absent, reads to the end. */
export async function attackInside(
  siege: Siege,
  template: string,
  { host = 'api.test', until = NEVER }: { readonly host?: string; readonly until?: RegExp } = {},
): Promise<Sight> {
  const bytes = template.replaceAll('{H}', `Host: ${host}:${siege.upstream.port}⏎`)
  const { result, ...seen } = await siege.watch(async () => {
    const socket = await inside(siege, host)
    const said = await talk(socket, siege.bytes('forward', bytes), until)
    socket.destroy()
    return said
  })
  return { ...seen, ...result, status: statusIn(result.text) }
}

/** The same, read until there is a whole answer. */
export function askInside(siege: Siege, template: string, host = 'api.test'): Promise<Sight> {
  return attackInside(siege, template, { host, until: WHOLE })
}

/** Of the first answer. */
export function statusIn(text: string): number {
  return Number(/^HTTP\/1\.1 (\d{3}) /.exec(text)?.[1] ?? 0)
}

/** What comes back in a tunnel, until it is closed; the time it took, in ms. */
export async function readToEnd(socket: Tunnel['socket'], bytes: Buffer | string, deadlineMs = 15_000) {
  const before = performance.now()
  const { text, closed } = await talk(socket, bytes, NEVER, deadlineMs)
  return { text, closed, tookMs: performance.now() - before }
}

/** The entries of CONNECTs to this host, once there are as many. */
export function connectsTo(siege: Siege, host: string, count = 1): Promise<Record<string, unknown>[]> {
  return eventually(async () => {
    const all = await siege.sallyport.audit(0)
    const found = all.filter((entry) => entry['method'] === 'CONNECT' && entry['host'] === host)
    return found.length >= count ? found : undefined
  }, `${count} entries of CONNECT to ${host}`)
}

/** The first entry that says all of this, once there is one. */
export function entryOf(siege: Siege, wanted: Readonly<Record<string, unknown>>): Promise<Record<string, unknown>> {
  return eventually(
    async () => {
      const all = await siege.sallyport.audit(0)
      return all.find((entry) => Object.entries(wanted).every(([name, value]) => entry[name] === value))
    },
    `an entry with ${JSON.stringify(wanted)}`,
  )
}
