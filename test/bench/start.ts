import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import http from 'node:http'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { json } from 'node:stream/consumers'
import { Client } from 'pg'
import { type Postgres, startPostgres } from '../support/postgres.ts'
import { privateDirectory, remove, writeSecret } from '../support/sallyport.ts'

/**
 * How long the whole program takes from its start to its ready line, with 10,000 grants and 1,000 callers in the store,
 * beside a store with nothing in it and no store at all; in turns, on whatever the machine does besides.
 */
const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 7)
const CALLERS = 1_000
const GRANTS = 10_000
const CLI = new URL('../../src/cli.ts', import.meta.url).pathname
const CACHE = new URL('../../node_modules/.cache/sallyport', import.meta.url).pathname

interface Place {
  readonly name: string
  readonly directory: string
  readonly isFull: boolean
  readonly tookMs: number[]
}

const postgres = await startPostgres()
const places: Place[] = []
try {
  places.push(makePlace('no store', false, {}))
  for (const isFull of [false, true]) {
    places.push(await inSqlite(isFull))
    places.push(await inPostgres(postgres, isFull))
  }
  for (let round = 0; round <= ROUNDS; round++)
    for (const place of places) {
      const took = await start(place, place.isFull && round === 0)
      // The first round fills the caches.
      if (round > 0) place.tookMs.push(took)
    }
  report()
} finally {
  for (const { directory } of places) remove(directory)
  await postgres.remove()
}

function makePlace(name: string, isFull: boolean, more: object): Place {
  const directory = privateDirectory()
  writeSecret(directory, 'caller', randomBytes(24).toString('hex'))
  const settings = {
    log: { level: 'error' },
    admin: { listen: 'unix:admin.sock' },
    listeners: [{ kind: 'forward', listen: '127.0.0.1:0' }],
    allowlist: ['api.bench.test'],
    callers: { bench: { kind: 'api-key', key: { file: 'caller' } } },
    connections: { bench: { hosts: ['api.bench.test'], credential: { kind: 'none' } } },
    grants: [{ caller: 'bench', connection: 'bench' }],
    ...more,
  }
  writeFileSync(join(directory, 'sallyport.yaml'), JSON.stringify(settings))
  return { name, directory, isFull, tookMs: [] }
}

async function inSqlite(isFull: boolean): Promise<Place> {
  const place = makePlace(`sqlite, ${isFull ? 'full' : 'empty'}`, isFull, {
    store: { kind: 'sqlite', path: 'store.db' },
  })
  await start(place)
  if (!isFull) return place
  const file = new DatabaseSync(join(place.directory, 'store.db'))
  for (const text of statements()) file.exec(text)
  file.close()
  return place
}

async function inPostgres(server: Postgres, isFull: boolean): Promise<Place> {
  const url = await server.createDatabase()
  const place = makePlace(`postgres, ${isFull ? 'full' : 'empty'}`, isFull, {
    store: { kind: 'postgres', url: { file: 'url' } },
  })
  writeSecret(place.directory, 'url', url)
  await start(place)
  if (!isFull) return place
  const client = new Client({ connectionString: url })
  await client.connect()
  for (const text of statements()) await client.query(text)
  await client.end()
  return place
}

/** Every grant has a rule; what was there before the first revision that is kept is read whole. */
function statements(): readonly string[] {
  const rules = JSON.stringify([{ methods: ['GET'], paths: ['/v1/contacts/*'] }])
  const callers = Array.from({ length: CALLERS }, (_, index) => index)
  const grants = Array.from({ length: GRANTS }, (_, index) => index)
  const all = (rows: readonly string[]) => rows.join(', ')
  return [
    `insert into callers (name, created_at, created_by) values ${all(callers.map((one) => `('c${one}', 1, 'bench')`))}`,
    `insert into caller_keys (id, caller, digest, created_at) values ${all(
      callers.map((one) => `('k${one}', 'c${one}', '${randomBytes(32).toString('hex')}', 1)`),
    )}`,
    `insert into grants (id, caller, connection, rules, created_at, created_by) values ${all(
      grants.map((one) => `('g${one}', 'c${one % CALLERS}', 'bench', '${rules}', 1, 'bench')`),
    )}`,
    'update revision set value = 20000, kept_from = 20000',
  ]
}

/** From the start of the process to the line that says ready; ms. `isAsked`: whether everything is known by then. */
async function start({ directory }: Place, isAsked = false): Promise<number> {
  const from = performance.now()
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', CLI, 'serve', '--config', join(directory, 'sallyport.yaml')],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, NODE_COMPILE_CACHE: CACHE },
    },
  )
  const ended = once(child, 'exit')
  const [line] = await Promise.race([once(child.stdout, 'data'), ended])
  const took = performance.now() - from
  if (!String(line).includes('"msg":"ready"')) throw new Error(`it is not ready: ${String(line)}`)
  if (isAsked) await expectAll(join(directory, 'admin.sock'))
  child.kill('SIGTERM')
  await ended
  return took
}

/** The last caller of all has its share of the grants. */
async function expectAll(socketPath: string): Promise<void> {
  const request = http.get({ socketPath, path: `/v1/grants?caller=c${CALLERS - 1}`, headers: { Host: 'localhost' } })
  const [response] = await once(request, 'response')
  const { items } = (await json(response)) as { items?: readonly unknown[] } // what the route says
  if (items?.length !== GRANTS / CALLERS) throw new Error(`${items?.length} grants are known of the last caller`)
}

function report(): void {
  process.stdout.write(`${ROUNDS} rounds; ${GRANTS} grants and ${CALLERS} callers where full\n`)
  process.stdout.write('| store | median ms | slowest ms |\n|---|---|---|\n')
  for (const { name, tookMs } of places) {
    const sorted = tookMs.toSorted((one, other) => one - other)
    const median = sorted[sorted.length >> 1] ?? 0
    process.stdout.write(`| ${name} | ${Math.round(median)} | ${Math.round(sorted.at(-1) ?? 0)} |\n`)
  }
}
