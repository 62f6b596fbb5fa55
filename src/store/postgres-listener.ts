import type pg from 'pg'

const ANSWER_MS = 2_000
const CHANNEL = 'sallyport'

/** What a change says to all who listen. The rest is in the database. */
export const NOTIFY = `select pg_notify('${CHANNEL}', '')`

/**
 * One connection that listens, and by which the revision is asked for: so one that hears nothing because it is dead is
 * found out by the next question.
 */
export class Listener {
  readonly #open: () => pg.Client
  #client: Promise<pg.Client> | undefined
  #hint: () => void = () => undefined

  /** `open`: makes a client that has not connected yet. */
  constructor(open: () => pg.Client) {
    this.#open = open
  }

  onHint(listener: () => void): void {
    this.#hint = listener
  }

  /** @throws what the server or the network said; the next call connects anew */
  async revision(): Promise<number> {
    this.#client ??= this.#connect()
    const mine = this.#client
    try {
      const { rows } = await ask(await mine, 'select value from revision')
      return Number(rows[0]?.['value'])
    } catch (error) {
      this.#drop(mine)
      throw error
    }
  }

  close(): void {
    if (this.#client) this.#drop(this.#client)
  }

  async #connect(): Promise<pg.Client> {
    const client = this.#open()
    client.on('notification', () => this.#hint())
    // Without a listener an error would end the process; whoever asks next is told.
    client.on('error', () => this.#hint())
    await client.connect()
    await ask(client, `listen ${CHANNEL}`)
    return client
  }

  #drop(client: Promise<pg.Client>): void {
    if (this.#client === client) this.#client = undefined
    // Not awaited: a dead peer never takes leave.
    client.then((one) => one.end()).catch(() => undefined)
  }
}

function ask(client: pg.Client, text: string): Promise<pg.QueryResult<Record<string, unknown>>> {
  const query = { text, query_timeout: ANSWER_MS }
  return client.query(query)
}
