import { BlockList, connect, isIP, type LookupFunction, type Socket, type SocketAddress } from 'node:net'
import { Problem } from '../core/problem.ts'
import { codeOf, opening } from './opening.ts'

const KEEP_ALIVE_MS = 60_000

interface Route {
  /** For error reasons alone: it is not resolved again. */
  readonly host: string
  readonly port: number
  /** Vetted, at least one. */
  readonly addresses: readonly string[]
  readonly signal: AbortSignal
}

/**
 * Connects to the first of these addresses that answers, families in turn (RFC 8305), and to no other.
 * @throws Problem `upstream-unreachable`; the signal's reason
 */
export async function connectTcp({ host, port, addresses, signal }: Route): Promise<Socket> {
  signal.throwIfAborted()
  const socket = connect({
    host: 'vetted.invalid',
    port,
    lookup: answerWith(addresses),
    autoSelectFamily: true,
    blockList: onlyThese(addresses),
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_MS,
  })
  try {
    return await opening(socket, 'connect', signal)
  } catch (error) {
    if (signal.aborted) throw error
    const reason = `${host} at ${addresses.join(', ')} port ${port}: ${codeOf(error)}`
    throw new Problem('upstream-unreachable', { reason, cause: error })
  }
}

/**
 * The last line: everything is blocked but these addresses, whatever made Node try another. Ranges cannot say that and
 * leave room for what `allowPrivate` allows; net.connect asks `check` before each attempt.
 */
export function onlyThese(addresses: readonly string[]): BlockList {
  return new OnlyThese(addresses)
}

class OnlyThese extends BlockList {
  readonly #addresses: ReadonlySet<string>

  constructor(addresses: readonly string[]) {
    super()
    this.#addresses = new Set(addresses)
  }

  override check(address: string | SocketAddress): boolean {
    return !this.#addresses.has(typeof address === 'string' ? address : address.address)
  }
}

/** Node asks for all addresses when it selects the family; a synchronous answer would emit errors before anyone listens. */
function answerWith(addresses: readonly string[]): LookupFunction {
  const found = addresses.map((address) => ({ address, family: isIP(address) }))
  return (_host, _options, callback) => process.nextTick(callback, null, found)
}
