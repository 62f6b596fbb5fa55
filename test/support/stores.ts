import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { onTestFinished } from 'vitest'
import { Secret } from '../../src/core/secret.ts'
import type { References, SecretReference } from '../../src/secrets/reference.ts'
import { openStore } from '../../src/store/open.ts'
import { type StoreSettings, storeSettings } from '../../src/store/registry.ts'
import type { Store } from '../../src/store/store.ts'
import { systemClock } from '../../src/wire/system-clock.ts'
import { type Postgres, startPostgres } from './postgres.ts'

/** Where a store of a test is: one file, or one database. */
export interface StorePlace {
  readonly directory: string
  readonly settings: object
  /** What `env` references mean: by name. Changed at will. */
  readonly secrets: Map<string, string>
}

/** What a test wants of a store, beside its place. `ca`: what `tls.ca` means. */
export interface StoreWish {
  readonly settings?: object
  readonly ca?: string
  readonly onFault?: (message: string) => void
}

/** 32 random bytes, as an operator writes them down. */
export function makeKey(): string {
  return randomBytes(32).toString('base64')
}

/** Every kind of store, with a place of its own for each test. PostgreSQL is started once for each test file. */
export class StorePlaces {
  #postgres: Promise<Postgres> | undefined

  /** The server, started when it is first asked for. */
  postgres(): Promise<Postgres> {
    this.#postgres ??= startPostgres()
    return this.#postgres
  }

  async make(kind: StoreSettings['kind']): Promise<StorePlace> {
    const directory = mkdtempSync(join(tmpdir(), 'sallyport-store-'))
    onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
    const secrets = new Map([['KEY', makeKey()]])
    if (kind === 'sqlite') return { directory, secrets, settings: { kind, path: 'store/test.db' } }
    secrets.set('URL', await (await this.postgres()).createDatabase())
    return { directory, secrets, settings: { kind, url: { env: 'URL' } } }
  }

  /** Runs SQL behind the back of the store. */
  async run({ directory, secrets }: StorePlace, text: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
    const url = secrets.get('URL')
    if (url !== undefined) return (await this.postgres()).query(text, url)
    const file = new DatabaseSync(join(directory, 'store/test.db'), { timeout: 5_000 })
    try {
      return file.prepare(text).all()
    } finally {
      file.close()
    }
  }

  async close(): Promise<void> {
    await (await this.#postgres)?.remove()
  }
}

/** Opens a store, and closes it when the test is over. A fault that nobody expects fails the test. */
export async function open(place: StorePlace, { settings, ca, onFault }: StoreWish = {}): Promise<Store> {
  const parsed = storeSettings.parse({ key: { env: 'KEY' }, pollMs: 200, ...place.settings, ...settings })
  const faults: string[] = []
  const tools = {
    references: referencesOf(place.secrets, ca),
    clock: systemClock,
    directory: place.directory,
    onFault: onFault ?? ((message: string) => void faults.push(message)),
  }
  const store = await openStore(parsed, tools)
  onTestFinished(async () => {
    await store.close()
    if (faults.length > 0) throw new Error(`the store told of faults: ${faults.join('; ')}`)
  })
  return store
}

function referencesOf(secrets: ReadonlyMap<string, string>, ca: string | undefined): References {
  return {
    secret: ({ settings }: SecretReference) => ({
      current: () => ({ secret: new Secret(secrets.get(String(settings['env'])) ?? ''), version: 1 }),
    }),
    file: () => ca ?? '',
  }
}

const LOOK_MS = 5

/**
 * Waits until it is so, at most that long; says what was so instead. Of the time between two looks no more is counted than was
 * meant, as by `eventually`.
 */
export async function until(isSo: () => unknown, withinMs = 10_000): Promise<void> {
  for (let spentMs = 0; !isSo(); spentMs += LOOK_MS) {
    if (spentMs > withinMs) throw new Error(`not within ${withinMs} ms: ${isSo.toString()}`)
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
  }
}

/** A digest that no other has. */
export function makeDigest(): string {
  return randomBytes(32).toString('hex')
}
