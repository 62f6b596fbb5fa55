import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { Client } from 'pg'
import { pathOf } from './debian.ts'
import { freePort } from './ports.ts'

/** A real PostgreSQL of our own, on loopback, for as long as a test file runs. */
export interface Postgres {
  readonly port: number
  /** Makes an empty database; gives its URL. */
  createDatabase(): Promise<string>
  /** As the superuser; each answer as rows. */
  query(text: string, url?: string): Promise<readonly Readonly<Record<string, unknown>>[]>
  start(): Promise<void>
  /** `fast`: sends everybody away in order. `crash`: like a power failure of this server alone. */
  stop(how?: 'fast' | 'crash'): Promise<void>
  /** Stops it and takes everything away. */
  remove(): Promise<void>
}

/** `isDurable`: waits for the disk at each commit. `tls`: PEM texts; it then speaks TLS to whoever asks. */
export interface PostgresWish {
  readonly isDurable?: boolean
  readonly tls?: { readonly cert: string; readonly key: string }
}

const USER = 'sallyport'
const START_MS = 20_000

/** Makes one in a temporary directory and starts it, as the user `postgres` when we are root: it refuses to be root. */
export async function startPostgres(wish: PostgresWish = {}): Promise<Postgres> {
  const server = new Server(await freePort(), wish)
  await server.start()
  return server
}

class Server implements Postgres {
  readonly port: number
  readonly #directory = mkdtempSync(join(tmpdir(), 'sallyport-postgres-'))
  readonly #password = randomBytes(12).toString('hex')
  readonly #owner = ownerOf()
  readonly #options: readonly string[]
  readonly #killed = () => void this.#process?.kill('SIGQUIT')
  #process: ChildProcess | undefined
  #databases = 0

  constructor(port: number, { isDurable = false, tls }: PostgresWish) {
    this.port = port
    const fast = ['fsync=off', 'synchronous_commit=off', 'full_page_writes=off']
    const secure = ['ssl=on', `ssl_cert_file=${this.#file('server.crt')}`, `ssl_key_file=${this.#file('server.key')}`]
    const settings = [`port=${port}`, 'listen_addresses=127.0.0.1', `unix_socket_directories=${this.#directory}`]
    this.#options = [...settings, ...(isDurable ? [] : fast), ...(tls ? secure : [])].flatMap((one) => ['-c', one])
    this.#own(this.#directory)
    this.#put('password', this.#password)
    if (tls) this.#put('server.crt', tls.cert)
    if (tls) this.#put('server.key', tls.key)
    const auth = ['--auth=scram-sha-256', `--username=${USER}`, `--pwfile=${this.#file('password')}`]
    execFileSync(pathOf('postgresql'), ['-D', this.#file('data'), '--no-sync', ...auth], {
      stdio: 'ignore',
      cwd: this.#directory,
      ...this.#owner,
    })
    process.once('exit', this.#killed)
  }

  async createDatabase(): Promise<string> {
    const name = `test${++this.#databases}`
    await this.query(`create database ${name}`)
    return this.#url(name)
  }

  async query(text: string, url = this.#url('postgres')): Promise<readonly Readonly<Record<string, unknown>>[]> {
    const client = new Client({ connectionString: url })
    // A server that is stopped under it says so twice.
    client.on('error', () => undefined)
    await client.connect()
    try {
      return (await client.query(text)).rows
    } finally {
      await client.end()
    }
  }

  async start(): Promise<void> {
    const program = join(dirname(pathOf('postgresql')), 'postgres')
    this.#process = spawn(program, ['-D', this.#file('data'), ...this.#options], {
      stdio: 'ignore',
      cwd: this.#directory,
      ...this.#owner,
    })
    const giveUpAt = performance.now() + START_MS
    while (!(await this.#answers())) {
      if (performance.now() > giveUpAt) throw new Error('PostgreSQL did not start in time')
      await wait(30)
    }
  }

  async stop(how: 'fast' | 'crash' = 'fast'): Promise<void> {
    const stopped = this.#process
    if (stopped?.exitCode !== null || stopped.signalCode !== null) return
    stopped.kill(how === 'fast' ? 'SIGINT' : 'SIGQUIT')
    await once(stopped, 'exit')
  }

  async remove(): Promise<void> {
    await this.stop('crash')
    process.off('exit', this.#killed)
    rmSync(this.#directory, { recursive: true, force: true })
  }

  async #answers(): Promise<boolean> {
    return this.query('select 1').then(
      () => true,
      () => false,
    )
  }

  #url(database: string): string {
    return `postgres://${USER}:${this.#password}@127.0.0.1:${this.port}/${database}`
  }

  #file(name: string): string {
    return join(this.#directory, name)
  }

  #put(name: string, text: string): void {
    writeFileSync(this.#file(name), text)
    chmodSync(this.#file(name), 0o600)
    this.#own(this.#file(name))
  }

  #own(path: string): void {
    if (this.#owner.uid !== undefined) chownSync(path, this.#owner.uid, this.#owner.gid)
  }
}

function ownerOf(): { readonly uid?: number; readonly gid: number } {
  if (process.getuid?.() !== 0) return { gid: process.getgid?.() ?? 0 }
  const idOf = (flag: string) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }))
  return { uid: idOf('-u'), gid: idOf('-g') }
}
