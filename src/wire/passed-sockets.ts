import type { Server } from 'node:net'
import { canonicalAddress } from './address.ts'
import { addressText, type Bound, type ListenAddress } from './listen.ts'
import { ListenError } from './listen-error.ts'
import { codeOf } from './opening.ts'
import { openSocketFacts, type SocketFacts } from './socket-facts.ts'

/** Where those begin that systemd passes. @see sd_listen_fds(3) */
const FIRST = 3
/** As many as systemd passes at most; more is no number that it wrote. */
const MOST = 4096
/** The kernel takes less where `net.core.somaxconn` is less. While we restart, this many callers wait. */
const BACKLOG = 4096

/** A socket that listens already. */
export interface Passed {
  readonly fd: number
  readonly name: string
  readonly at: ListenAddress
}

/** Sockets that systemd has opened, and passed to this process; each is taken once, by its name and its address. */
export class PassedSockets {
  readonly #left: Passed[]
  /** Why there are none, for who expects one. */
  readonly #none: string

  constructor(passed: readonly Passed[] = [], none = 'nothing was passed: start the service by its socket unit') {
    this.#left = [...passed]
    this.#none = none
  }

  /** @throws ListenError `socket-not-passed`, `socket-unfit` */
  take(name: string, where: ListenAddress): Passed {
    const named = this.#left.filter((one) => one.name === name)
    const found = named.find(({ at }) => isMeant(at, where))
    if (found) {
      this.#left.splice(this.#left.indexOf(found), 1)
      return found
    }
    const wanted = addressText(where)
    if (named.length > 0) {
      const others = named.map(({ at }) => addressText(at)).join(', ')
      throw new ListenError(
        'socket-unfit',
        `the socket "${name}" of systemd is at ${others}, and the settings say ${wanted}: make ListenStream= of the socket unit and "listen" the same`,
      )
    }
    const why = this.#left.length > 0 ? `there are ${this.#left.map((one) => one.name).join(', ')}` : this.#none
    throw new ListenError(
      'socket-not-passed',
      `no socket "${name}" came from systemd for ${wanted} (${why}): give the socket unit FileDescriptorName=${name} and Service= of this service; or leave "systemd" out, and Sallyport opens it`,
    )
  }

  /** To be called when all are taken. A socket that nobody accepts from would keep its callers waiting for ever. @throws ListenError */
  expectNone(): void {
    const [one] = this.#left
    if (!one) return
    throw new ListenError(
      'socket-unused',
      `systemd passes a socket "${one.name}" at ${addressText(one.at)}, and nothing here has "systemd: ${one.name}": add it to the listener, or disable the socket unit`,
    )
  }
}

/**
 * Takes what systemd says of sockets out of the environment, so that no child of ours believes it, and looks at each of them.
 * @throws ListenError `socket-unfit`
 */
export function takePassedSockets(env: NodeJS.ProcessEnv): PassedSockets {
  const { LISTEN_PID: pid, LISTEN_FDS: count, LISTEN_FDNAMES: names } = env
  for (const name of ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES', 'LISTEN_PIDFDID']) delete env[name]
  if (pid === undefined && count === undefined) return new PassedSockets()
  if (pid !== String(process.pid)) {
    const why = `they are for process ${pid}, and this is ${process.pid}: let nothing but \`exec\` be between`
    return new PassedSockets([], why)
  }
  const number = /^[0-9]{1,4}$/.test(count ?? '') ? Number(count) : Number.NaN
  if (!(number >= 0 && number <= MOST)) throw unfit(`LISTEN_FDS=${count} is no number of sockets`)
  const all = names === undefined ? Array.from({ length: number }, () => 'unknown') : names.split(':')
  if (number > 0 && all.length !== number) throw unfit(`LISTEN_FDNAMES has ${all.length} names for ${number} sockets`)
  const facts = openSocketFacts()
  return new PassedSockets(all.slice(0, number).map((name, at) => passedAt(FIRST + at, name, facts)))
}

/** Nothing is bound and nothing removed: the socket is systemd's, before, while and after we have it. @throws ListenError */
export async function adopt(server: Server, fd: number, where: string): Promise<Bound> {
  await new Promise<void>((resolve, reject) => {
    const fail = (cause: unknown) =>
      reject(new ListenError('not-bound', `${where}, of systemd, cannot be listened on (${codeOf(cause)})`, cause))
    server.once('error', fail)
    server.listen({ fd }, BACKLOG, () => {
      server.off('error', fail)
      resolve()
    })
  })
  return { address: where, release: () => Promise.resolve() }
}

function passedAt(fd: number, name: string, facts: SocketFacts): Passed {
  const found = facts.read(fd)
  const which = `the socket "${name}" of systemd (file descriptor ${fd})`
  if (found === undefined) throw unfit(`${which} is no socket`)
  if (!found.isStream) throw unfit(`${which} is for datagrams: use ListenStream=`)
  if (!found.isListening) throw unfit(`${which} does not listen: leave Accept= out, and use ListenStream=`)
  if (found.at === undefined) throw unfit(`${which} is neither TCP nor at a path of the file system`)
  return { fd, name, at: found.at }
}

function isMeant(is: ListenAddress, said: ListenAddress): boolean {
  if (is.kind === 'unix' || said.kind === 'unix')
    return is.kind === 'unix' && said.kind === 'unix' && is.path === said.path
  return canonicalAddress(is.host) === canonicalAddress(said.host) && (said.port === 0 || said.port === is.port)
}

function unfit(what: string): ListenError {
  return new ListenError('socket-unfit', what)
}
