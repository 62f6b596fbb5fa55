import { createHmac, randomBytes, randomUUID, timingSafeEqual } from 'node:crypto'
import type { Clock } from '../core/clock.ts'

/** Who a link lets log in, and who let them. */
export interface LoginTicket {
  readonly connection: string
  /** Absent: for all callers. */
  readonly caller?: string | undefined
  /** The operator or the caller that the link was given to. */
  readonly by: string
}

/** A ticket as somebody has it. `id`: of this one alone. `until`: ms since the epoch. */
export interface GivenTicket extends LoginTicket {
  readonly id: string
  readonly until: number
}

/** As whom a caller logs in for itself: no operator is called so. */
export function byCaller(name: string): string {
  return `caller ${name}`
}

const LIFE_MS = 3_600_000

/**
 * Links to the page where somebody logs in. Whoever has one may log in for the caller that it names, and for nobody else:
 * a stranger's login in a caller's place would have that caller work in the stranger's account. They are good for an hour, for
 * this process, and for one login: other users of a machine see the link among the arguments of a browser, and it stays in its
 * history.
 */
export class LoginLinks {
  readonly #clock: Pick<Clock, 'now'>
  readonly #key = randomBytes(32)
  /** Those that somebody has logged in by, and when they end anyway. */
  readonly #spent = new Map<string, number>()
  #base: string | undefined

  constructor(clock: Pick<Clock, 'now'>) {
    this.#clock = clock
  }

  /** `base`: where browsers reach the admin door; undefined: they do not. */
  open(base: string | undefined): void {
    this.#base = base
  }

  get isOpen(): boolean {
    return this.#base !== undefined
  }

  /** Where the authorization server of a connection sends browsers back to: an address of its own for each of them. */
  callback(connection: string): string {
    return `${this.#page(connection)}/callback`
  }

  /** For whoever was given it. */
  link(ticket: LoginTicket): string {
    return `${this.#page(ticket.connection)}?ticket=${this.#sign(ticket)}`
  }

  /** For a caller that has proved itself: it may log in for itself. What is everybody's is for operators to begin. */
  forCaller(connection: string, caller: string | undefined): string {
    if (caller === undefined) return this.#page(connection)
    return this.link({ connection, caller, by: byCaller(caller) })
  }

  #page(connection: string): string {
    return `${this.#base ?? ''}/login/${encodeURIComponent(connection)}`
  }

  #sign(ticket: LoginTicket): string {
    const said = Buffer.from(
      JSON.stringify({ ...ticket, id: randomUUID(), until: this.#clock.now() + LIFE_MS }),
    ).toString('base64url')
    return `${said}.${this.#macOf(said).toString('base64url')}`
  }

  /** Undefined: it is none of ours, or of another connection, or too old, or somebody has logged in by it. */
  read(text: string, connection: string): GivenTicket | undefined {
    const [said = '', mac = '', ...more] = text.split('.')
    const given = Buffer.from(mac, 'base64url')
    const right = this.#macOf(said)
    if (more.length > 0 || given.length !== right.length || !timingSafeEqual(given, right)) return undefined
    // Nobody but us has made it.
    const ticket = JSON.parse(Buffer.from(said, 'base64url').toString()) as GivenTicket
    const isGood = ticket.connection === connection && ticket.until > this.#clock.now() && !this.isSpent(ticket)
    return isGood ? ticket : undefined
  }

  /** Somebody has logged in by it. */
  spend({ id, until }: GivenTicket): void {
    const now = this.#clock.now()
    for (const [other, end] of this.#spent) if (end <= now) this.#spent.delete(other)
    this.#spent.set(id, until)
  }

  /** Whether somebody has. */
  isSpent({ id }: GivenTicket): boolean {
    return this.#spent.has(id)
  }

  /** When a ticket was given; ms since the epoch. */
  givenAt({ until }: GivenTicket): number {
    return until - LIFE_MS
  }

  #macOf(said: string): Buffer {
    return createHmac('sha256', this.#key).update(said).digest()
  }
}
