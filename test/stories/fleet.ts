import http from 'node:http'
import { join } from 'node:path'
import { type Answer, askDoor } from '../admin/door.ts'
import { type Postgres, startPostgres } from '../support/postgres.ts'
import { open, sendRaw, WHOLE_ANSWER } from '../support/raw-client.ts'
import { type Running, startSallyport, writeSecret } from '../support/sallyport.ts'
import { type RawUpstream, type Step, startUpstream } from '../support/upstream.ts'
import { authority, crmDirectory, crmSettings, doorOf, stopCrm } from './crm.ts'

/** Several sidecars on one PostgreSQL, each a process with a place of its own. */
export interface Fleet {
  readonly postgres: Postgres
  /** Of the database they share. */
  readonly url: string
  readonly sidecars: readonly Running[]
  /** One more, which is not among `sidecars`. `url`: by another way to the database. */
  start(name: string, store?: { readonly url?: string; readonly staleMs?: number }): Promise<Running>
  close(): Promise<void>
}

/** Starts them at the same time, against an empty database. Their instances in the audit are `side-0`, `side-1`, ... */
export async function startFleet(size: number): Promise<Fleet> {
  // A server that does not wait for its disk forgets commits when it is stopped at once.
  const postgres = await startPostgres({ isDurable: true })
  const url = await postgres.createDatabase()
  const upstream = await startUpstream((head) => answerTo(head), await authority.issue(['api.crm.test']))
  const started: Running[] = []
  const start: Fleet['start'] = async (name, { url: way = url, staleMs = 300_000 } = {}) => {
    const running = await startSidecar(name, { upstream, url: way, staleMs })
    started.push(running)
    return running
  }
  const sidecars: Running[] = []
  // Two at a time: ten programs that are loaded at once keep one another from being ready in time.
  for (const pair of pairsOf(size)) sidecars.push(...(await Promise.all(pair.map((at) => start(`side-${at}`)))))
  return {
    postgres,
    url,
    sidecars,
    start,
    async close() {
      await Promise.all(started.map(stopCrm))
      await upstream.close()
      await postgres.remove()
    },
  }
}

function pairsOf(size: number): number[][] {
  const all = Array.from({ length: size }, (_, at) => at)
  return all.filter((at) => at % 2 === 0).map((at) => all.slice(at, at + 2))
}

/** `/stream/...` never ends by itself. */
function answerTo(head: string): readonly Step[] {
  if (head.includes(' /stream/'))
    return [{ send: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n' }, 'hang']
  return [{ send: 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok' }]
}

interface Way {
  readonly upstream: RawUpstream
  readonly url: string
  readonly staleMs: number
}

function startSidecar(instance: string, { upstream, url, staleMs }: Way): Promise<Running> {
  const directory = crmDirectory()
  writeSecret(directory, 'database', url)
  const settings = {
    listeners: [{ kind: 'forward', listen: '127.0.0.1:0' }],
    admin: { listen: 'unix:admin.sock' },
    store: { kind: 'postgres', url: { file: 'database' }, staleMs },
    audit: {
      instance,
      sinks: [{ kind: 'json-lines', path: 'audit.jsonl' }, { kind: 'store' }],
      spill: { path: 'spill' },
    },
    grants: [],
    log: { level: 'info' },
  }
  return startSallyport(directory, crmSettings({ port: upstream.port, settings }))
}

/** Asks the admin door as the user that it runs as. */
export function operate({ directory }: Running, method: string, path: string, body?: unknown): Promise<Answer> {
  return askDoor(`unix:${join(directory, 'admin.sock')}`, { method, path, key: undefined, body })
}

/** The proof of a caller, as a field of a raw request. */
export function proofOf(name: string, key: string): string {
  return `Proxy-Authorization: Basic ${Buffer.from(`${name}:${key}`).toString('base64')}\r\n`
}

function requestOf(path: string, proof: string): string {
  return `GET http://api.crm.test${path} HTTP/1.1\r\nHost: api.crm.test\r\n${proof}\r\n`
}

/** What a caller is answered: `200`, or the code of the refusal. */
export async function outcome(running: Running, proof: string): Promise<string> {
  const { status, text } = await sendRaw(doorOf(running, 'forward'), requestOf('/one', proof), { until: WHOLE_ANSWER })
  return status === 200 ? '200' : (/"code":"([^"]+)"/.exec(text)?.[1] ?? text)
}

/** A download under way. */
export interface Stream {
  readonly text: () => string
  /** When and how it ended, once it has. */
  ended(): { readonly at: number; readonly isReset: boolean } | undefined
  close(): void
}

/** Begins one; its first chunk has come when this resolves. */
export function stream(running: Running, proof: string): Promise<Stream> {
  const socket = open(doorOf(running, 'forward'))
  let text = ''
  let isReset = false
  let end: { readonly at: number; readonly isReset: boolean } | undefined
  socket.write(requestOf('/stream/', proof))
  return new Promise((resolve, reject) => {
    socket.on('error', () => (isReset = true))
    socket.on('close', () => {
      end = { at: performance.now(), isReset }
      reject(new Error(`the download did not begin: ${text}`))
    })
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
      if (text.includes('first')) resolve({ text: () => text, ended: () => end, close: () => socket.destroy() })
    })
  })
}

/** What was sent, and what was answered with 200, by path; each path is sent once. */
export interface Load {
  readonly sent: ReadonlySet<string>
  readonly answered: ReadonlySet<string>
  /** Sends no more; resolves when the last answer is there. */
  end(): Promise<void>
}

/** One request after the other from each of these callers through each sidecar, on connections that are kept. */
export function startLoad(sidecars: readonly Running[], proofs: readonly string[]): Load {
  const sent = new Set<string>()
  const answered = new Set<string>()
  const over = new AbortController()
  const ask = async (running: Running, index: number, proof: string) => {
    const [host, port] = doorOf(running, 'forward').split(':')
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
    const value = proof.slice('Proxy-Authorization: '.length).trim()
    for (let serial = 0; !over.signal.aborted; serial++) {
      const path = `/load/${index}/${proofs.indexOf(proof)}/${serial}`
      sent.add(path)
      const headers = { Host: 'api.crm.test', 'Proxy-Authorization': value }
      const status = await statusOf({ host, port, agent, path: `http://api.crm.test${path}`, headers })
      if (status === 200) answered.add(path)
      // The load is bounded: two cores serve it, and the database beside.
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    agent.destroy()
  }
  const loops = sidecars.flatMap((running, index) => proofs.map((proof) => ask(running, index, proof)))
  return {
    sent,
    answered,
    async end() {
      over.abort()
      await Promise.all(loops)
    },
  }
}

function statusOf(options: http.RequestOptions): Promise<number> {
  return new Promise((resolve) => {
    const request = http.get(options, (response) => {
      response.resume().on('end', () => resolve(response.statusCode ?? 0))
      response.on('error', () => resolve(0))
    })
    request.on('error', () => resolve(0))
  })
}
