import type { Secret } from '../core/secret.ts'
import type { Change, Ledger } from './ledger.ts'
import { type SealKey, seal, unseal } from './seal.ts'
import { type SealedSecrets, type SecretVersion, StoreError } from './store.ts'
import type { SecretRow } from './tables.ts'

/** The keys that there are: one to seal with, and others that still open. */
export interface SealKeys {
  readonly current: SealKey | undefined
  readonly previous: readonly SealKey[]
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9._@-]{0,127}$/
const MAX_BYTES = 65_536

/** Secrets under the store's own key. Of a version that is not in use any more, only that there was one is kept. */
export class SqlSecrets implements SealedSecrets {
  readonly #ledger: Ledger
  readonly #keys: SealKeys
  readonly #now: () => number

  constructor(ledger: Ledger, keys: SealKeys, now: () => number) {
    this.#ledger = ledger
    this.#keys = keys
    this.#now = now
  }

  async list(): Promise<readonly SecretVersion[]> {
    const columns = ['name', 'version', 'created_at', 'created_by'] as const
    const rows = await this.#ledger.read((db) =>
      db
        .selectFrom('secrets')
        .select(columns)
        .where('name', 'in', (inner) => inner.selectFrom('secrets').select('name').where('sealed', 'is not', null))
        .orderBy('name')
        .orderBy('version')
        .execute(),
    )
    return rows.map(versionOf)
  }

  /** The rows stay, without the secret: a version that began again at 1 would be another one of the same name in the audit. */
  async remove(name: string): Promise<SecretVersion> {
    return this.#ledger.change(async ({ db, touch }) => {
      const row = await db
        .updateTable('secrets')
        .set({ sealed: null, key_id: null })
        .where('name', '=', name)
        .where('sealed', 'is not', null)
        .returningAll()
        .executeTakeFirst()
      if (!row) throw new StoreError('missing', `the store has no secret ${name}`)
      touch('secret', name)
      return versionOf(row)
    })
  }

  async put(name: string, secret: Secret, by: string): Promise<SecretVersion> {
    if (!NAME.test(name)) throw new Error('use a name of letters, digits, ".", "_", "@" and "-", 128 at most')
    if (Buffer.byteLength(secret.reveal()) > MAX_BYTES) throw new Error(`a secret has at most ${MAX_BYTES} bytes`)
    const key = this.#keys.current
    if (!key) throw new StoreError('key', 'the store has no key to seal secrets with: name one in "store.key"')
    return this.#ledger.change((change) => this.#putWith(key, { name, secret, by }, change))
  }

  async #putWith(
    key: SealKey,
    { name, secret, by }: { name: string; secret: Secret; by: string },
    { db, touch }: Change,
  ): Promise<SecretVersion> {
    const before = await db
      .selectFrom('secrets')
      .select(({ fn }) => fn.max('version').as('version'))
      .where('name', '=', name)
      .executeTakeFirst()
    // max() of nothing is null.
    const version = (before?.version ?? 0) + 1
    const sealed = seal(secret, { name, version }, key)
    const row = { name, version, sealed, key_id: key.id, created_at: this.#now(), created_by: by }
    await db.updateTable('secrets').set({ sealed: null, key_id: null }).where('name', '=', name).execute()
    await db.insertInto('secrets').values(row).execute()
    touch('secret', name)
    return versionOf(row)
  }

  async open(name: string): Promise<{ readonly secret: Secret; readonly version: number }> {
    const row = await this.#ledger.read((db) =>
      db.selectFrom('secrets').selectAll().where('name', '=', name).where('sealed', 'is not', null).executeTakeFirst(),
    )
    if (!row)
      throw new StoreError(
        'missing',
        `the store has no secret ${name}: \`sallyport secret set ${name} --offline --config FILE < VALUE\` puts it there`,
      )
    return { secret: this.#unsealed(row), version: row.version }
  }

  onChange(listener: (name: string) => void): () => void {
    return this.#ledger.onSecret(listener)
  }

  /**
   * Seals under the key in use whatever is sealed under another one that is known. Each by itself: what is not done when
   * this is cut short is sealed as it was, and is done at the next start.
   */
  async sealAnew(): Promise<void> {
    const { current } = this.#keys
    if (!current) return
    const rows = await this.#ledger.read((db) =>
      db.selectFrom('secrets').selectAll().where('key_id', '<>', current.id).execute(),
    )
    for (const row of rows) if (this.#keyOf(row)) await this.#sealRowAnew(row, current)
  }

  async #sealRowAnew(row: SecretRow, current: SealKey): Promise<void> {
    const sealed = seal(this.#unsealed(row), row, current)
    await this.#ledger.read((db) =>
      db
        .updateTable('secrets')
        .set({ sealed, key_id: current.id })
        .where('name', '=', row.name)
        .where('version', '=', row.version)
        // Unless somebody else was here meanwhile.
        .where('key_id', '=', row.key_id)
        .execute(),
    )
  }

  #unsealed(row: SecretRow): Secret {
    const key = this.#keyOf(row)
    if (!key) throw new StoreError('key', this.#wordsOfKey(row))
    const secret = unseal(row.sealed ?? '', row, key)
    if (!secret)
      throw new StoreError('key', `the secret ${row.name} in the store was changed by somebody else: set it again`)
    return secret
  }

  #keyOf({ key_id }: SecretRow): SealKey | undefined {
    return [this.#keys.current, ...this.#keys.previous].find((key) => key?.id === key_id)
  }

  #wordsOfKey({ name, key_id }: SecretRow): string {
    const { current } = this.#keys
    const sealed = `the secret ${name} was sealed under the key ${key_id}`
    return current
      ? `${sealed}, and "store.key" is ${current.id}: name that other one in "store.previousKeys", or set the secret again`
      : `${sealed}: name it in "store.key"`
  }
}

function versionOf(row: Pick<SecretRow, 'name' | 'version' | 'created_at' | 'created_by'>): SecretVersion {
  return { name: row.name, version: row.version, createdAt: row.created_at, createdBy: row.created_by }
}
