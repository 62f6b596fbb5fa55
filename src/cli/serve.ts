import { type House, openHouse } from '../main.ts'
import { loadSettings } from '../settings/load.ts'
import { describe } from '../telemetry/logger.ts'
import { makeUndumpable } from '../wire/undumpable.ts'
import { refuseUnsafeEnvironment } from './environment.ts'
import { EXIT } from './exit-codes.ts'
import { orSettingsExit } from './failing.ts'

/** `sallyport serve`: opens the doors, says so in one line, and serves until a signal. */
export async function serve(file: string): Promise<void> {
  const house = await orSettingsExit(async () => {
    refuseUnsafeEnvironment(process.env)
    makeUndumpable()
    return openHouse(await loadSettings(file))
  })
  if (!house) return
  stopOnSignals(house)
  process.stdout.write(readyLine(house))
}

function readyLine({ listeners, admin, health }: House): string {
  if (!process.stdout.isTTY) return `${JSON.stringify({ msg: 'ready', listeners, admin, health })}\n`
  const doors = listeners.map(({ kind, address }) => `${kind} ${address}`).join(', ')
  return `ready: ${doors}${admin === undefined ? '' : `; admin ${admin}`}${health === undefined ? '' : `; health ${health}`}\n`
}

/** A first signal drains; a second one does not wait. */
function stopOnSignals(house: House): void {
  let isStopping = false
  const stop = (signal: string, code: number) => {
    if (isStopping) process.exit(code === 0 ? 1 : code)
    isStopping = true
    house.log.info({ signal }, 'stopping')
    house.close().then(
      () => process.exit(code),
      () => process.exit(EXIT.software),
    )
  }
  process.on('SIGTERM', () => stop('SIGTERM', 0))
  process.on('SIGINT', () => stop('SIGINT', 0))
  // Its default is to end the process, and log rotation sends it.
  process.on('SIGHUP', () =>
    house.log.warn({ signal: 'SIGHUP' }, 'settings are read at start: restart to apply a change'),
  )
  // No input may get here; should one, what is left is to write out the audit and let the supervisor start afresh.
  process.on('uncaughtException', (error) => {
    try {
      house.log.error({ error: describe(error) }, 'an error nobody caught')
    } finally {
      stop('uncaughtException', EXIT.software)
    }
  })
}
