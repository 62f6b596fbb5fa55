import type { BlockList } from 'node:net'
import type { SecureContext } from 'node:tls'
import type { buildConnector } from 'undici'
import type { Destination, Dialer } from '../wire/dial.ts'
import { Pool } from '../wire/undici.ts'
import { Negotiated } from './negotiated.ts'
import type { Sender } from './sender.ts'
import { Slots } from './slots.ts'

/** Bounds of one connection; times in ms. */
export interface Limits {
  readonly connectTimeoutMs: number
  readonly responseTimeoutMs: number
  readonly idleTimeoutMs: number
  /** Requests in flight at once, for each caller. */
  readonly maxConcurrent: number
  /** Opened tunnels at once, for each caller. */
  readonly maxTunnels: number
  readonly maxRequestBytes: number
  /** That an unopened tunnel may last in all. */
  readonly tunnelTimeoutMs: number
}

/** Where a connection leads and on what terms. */
export interface UpstreamTerms {
  readonly dialer: Dialer
  readonly port: number
  /** Asked for each connection: a context is another one once we show another certificate. */
  readonly tls: (() => SecureContext) | 'plaintext'
  readonly allowPrivate: BlockList
  /** Offers HTTP/2; what the upstream chooses is spoken. Without meaning in plaintext. */
  readonly http2: boolean
  readonly limits: Limits
}

/** How busy the way to an upstream is. */
export interface UpstreamLoad {
  /** Under way, unopened tunnels included. */
  readonly requests: number
  /** Opened tunnels. */
  readonly tunnels: number
  /** Of `maxConcurrent`, by the caller that has most under way. */
  readonly highestShare: number
  /** Connections of the pools; those of tunnels and WebSockets are not among them. */
  readonly sockets: number
  /** Requests without a connection yet. */
  readonly waiting: number
}

/** A name under a wildcard costs a pool; callers choose names. */
const MAX_POOLS = 256

/**
 * The sockets of one connection. A pool belongs to one caller, one credential of several, and one host: two callers never share an upstream socket,
 * so that what one leaves behind in it can never reach the other (queue poisoning, CVE-2026-105481).
 */
export class Upstream {
  readonly #terms: UpstreamTerms
  readonly #pools = new Map<string, Sender>()
  /** The last one in that order: whoever asks next is most often who asked before. */
  #latest: { readonly key: string; readonly pool: Sender } | undefined
  /** With which the pools were opened. */
  #shown: SecureContext | undefined
  readonly #requests: Slots
  readonly #tunnels: Slots

  constructor(terms: UpstreamTerms) {
    this.#terms = terms
    this.#requests = new Slots(terms.limits.maxConcurrent, 'requests')
    this.#tunnels = new Slots(terms.limits.maxTunnels, 'opened tunnels')
  }

  get limits(): Limits {
    return this.#terms.limits
  }

  /** Whether a request may go out over HTTP/2. */
  get http2(): boolean {
    return this.#terms.http2 && this.#terms.tls !== 'plaintext'
  }

  /** What to dial for a host of this connection. */
  destination(host: string, port: number = this.#terms.port): Destination {
    const { tls, allowPrivate, limits } = this.#terms
    return { host, port, tls: tls === 'plaintext' ? tls : tls(), allowPrivate, timeoutMs: limits.connectTimeoutMs }
  }

  /** `Host` as the upstream expects it. */
  authority(host: string, port: number = this.#terms.port): string {
    const { tls } = this.#terms
    return port === (tls === 'plaintext' ? 80 : 443) ? host : `${host}:${port}`
  }

  /** Scheme and authority. */
  origin(host: string, port: number = this.#terms.port): string {
    return `${this.#terms.tls === 'plaintext' ? 'http' : 'https'}://${this.authority(host, port)}`
  }

  /**
   * `port`: where it is another than that of the connection. `whose`: who it is behind that caller, where several people go
   * by the name of one.
   */
  sender(caller: string, host: string, port: number = this.#terms.port, whose = ''): Sender {
    this.#renew()
    // Neither a caller's name nor a host has a blank.
    const key = `${caller} ${host} ${port} ${whose}`
    if (key === this.#latest?.key) return this.#latest.pool
    const pool = this.#pools.get(key) ?? this.#open(host, port)
    // Re-inserting keeps the map in order of use, oldest first.
    this.#pools.delete(key)
    this.#pools.set(key, pool)
    this.#latest = { key, pool }
    if (this.#pools.size > MAX_POOLS) this.#closeOldest()
    return pool
  }

  /**
   * Counts a request, or an unopened tunnel, in; call what it returns when it is over.
   * @throws Problem `too-many-requests`
   */
  enter(caller: string): () => void {
    return this.#requests.take(caller)
  }

  /** The same for a tunnel that is opened here: what comes through it counts by itself. @throws Problem `too-many-requests` */
  enterTunnel(caller: string): () => void {
    return this.#tunnels.take(caller)
  }

  /**
   * Nobody who comes from now on comes here: settings that were read again have another in its place. What is in flight goes
   * on, and when the last of it has left, the sockets are closed, and `gone` is called.
   */
  retire(gone: () => void): void {
    const leave = () => {
      if (!this.#requests.isEmpty || !this.#tunnels.isEmpty) return
      this.destroy().then(gone, gone)
    }
    this.#requests.emptied = leave
    this.#tunnels.emptied = leave
    leave()
  }

  /** How busy it is just now. */
  get load(): UpstreamLoad {
    const stats = [...this.#pools.values()].map((pool) => pool.stats)
    return {
      requests: this.#requests.taken,
      tunnels: this.#tunnels.taken,
      highestShare: this.#requests.highestShare,
      sockets: stats.reduce((sum, { connected }) => sum + connected, 0),
      waiting: stats.reduce((sum, { pending }) => sum + pending, 0),
    }
  }

  /** Cuts every socket; idempotent. */
  async destroy(): Promise<void> {
    const pools = [...this.#pools.values()]
    this.#pools.clear()
    this.#latest = undefined
    await Promise.all(pools.map((pool) => pool.destroy()))
  }

  /** A socket on which another certificate was shown is not used again; requests in flight on it finish first. */
  #renew(): void {
    const { tls } = this.#terms
    const shown = tls === 'plaintext' ? undefined : tls()
    if (shown === this.#shown) return
    this.#shown = shown
    const pools = [...this.#pools.values()]
    this.#pools.clear()
    this.#latest = undefined
    for (const pool of pools) pool.close().catch(() => undefined)
  }

  #open(host: string, port: number): Sender {
    const { dialer, limits } = this.#terms
    const to = this.destination(host, port)
    const authority = this.authority(host, port)
    if (!this.http2) return this.#pool(authority, dialer.connector(to))
    return new Negotiated({
      origin: `https://${authority}`,
      dial: (protocols) => dialer.dial({ ...to, protocols }),
      http1: (connect) => this.#pool(authority, connect),
      headersTimeoutMs: limits.responseTimeoutMs,
      bodyTimeoutMs: limits.idleTimeoutMs,
    })
  }

  #pool(authority: string, connect: buildConnector.connector): Pool {
    const { tls, limits } = this.#terms
    return new Pool(`${tls === 'plaintext' ? 'http' : 'https'}://${authority}`, {
      connect,
      connections: limits.maxConcurrent,
      pipelining: 1,
      // undici 8 would take HTTP/2 where it finds it; see Negotiated for why that is not left to it.
      allowH2: false,
      headersTimeout: limits.responseTimeoutMs,
      bodyTimeout: limits.idleTimeoutMs,
      keepAliveTimeout: 4_000,
      keepAliveMaxTimeout: 60_000,
    })
  }

  #closeOldest(): void {
    const [oldest] = this.#pools
    if (!oldest) return
    this.#pools.delete(oldest[0])
    // Requests in flight on it finish first.
    oldest[1].close().catch(() => undefined)
  }
}
