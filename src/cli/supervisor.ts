import { type NotifySocket, openNotifySocket } from '../wire/notify-socket.ts'

/** Whoever started this process, and waits to hear how it goes: systemd with Type=notify. */
export interface Supervisor {
  /** The doors are open. From now on it hears, as often as it asked for, that the event loop turns. */
  ready(status: string): void
  /** The settings are being read again, until this is over. */
  reloading(over: Promise<void>): void
  /** Nothing new is taken in; what is in flight has this long. */
  stopping(withinMs: number): void
}

/** Nobody asked. */
const NOBODY: Supervisor = { ready: () => undefined, reloading: () => undefined, stopping: () => undefined }

/** For what comes behind the drain: a second for spans, five for the last lines of the audit, one for the store; and some. */
const CLOSING_MS = 10_000

/**
 * Takes what systemd says of itself out of the environment, so that no child of ours speaks for us. Where it cannot be told,
 * `warn` hears why, and Sallyport serves all the same.
 * @see sd_notify(3), sd_watchdog_enabled(3)
 */
export function takeSupervisor(env: NodeJS.ProcessEnv, warn: (reason: string) => void): Supervisor {
  const { NOTIFY_SOCKET: address, WATCHDOG_USEC: usec, WATCHDOG_PID: pid } = env
  for (const name of ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']) delete env[name]
  if (address === undefined) return NOBODY
  try {
    const isForUs = pid === undefined || pid === String(process.pid)
    const watchdogMs = isForUs && /^[1-9][0-9]{0,14}$/.test(usec ?? '') ? Number(usec) / 1000 : undefined
    return supervisorAt(openNotifySocket(address), watchdogMs, warn)
  } catch (error) {
    warn(`NOTIFY_SOCKET is of no use: ${error instanceof Error ? error.message : String(error)}`)
    return NOBODY
  }
}

function supervisorAt(
  socket: NotifySocket,
  watchdogMs: number | undefined,
  warn: (reason: string) => void,
): Supervisor {
  const tell = (lines: readonly string[]) => {
    if (!socket.send(lines.join('\n'))) warn(`systemd did not take ${lines[0]}`)
  }
  return {
    ready(status) {
      tell(['READY=1', `STATUS=${status}`])
      if (watchdogMs !== undefined) setInterval(() => tell(['WATCHDOG=1']), watchdogMs / 2).unref()
    },
    reloading(over) {
      tell(['RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`])
      void over.finally(() => tell(['READY=1']))
    },
    stopping(withinMs) {
      // TimeoutStopSec= of the unit knows nothing of drainTimeoutMs: so that the longer of the two holds.
      tell(['STOPPING=1', `EXTEND_TIMEOUT_USEC=${(withinMs + CLOSING_MS) * 1000}`, 'STATUS=draining'])
    },
  }
}
