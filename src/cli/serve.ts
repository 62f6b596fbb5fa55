import { type House, openHouse } from '../main.ts'
import { loadSettings } from '../settings/load.ts'
import { stampOfSettings, watchSettings } from '../settings/settings-file.ts'
import { createLogger, describe } from '../telemetry/logger.ts'
import { takePassedSockets } from '../wire/passed-sockets.ts'
import { makeUndumpable } from '../wire/undumpable.ts'
import { refuseUnsafeEnvironment } from './environment.ts'
import { EXIT } from './exit-codes.ts'
import { orSettingsExit } from './failing.ts'
import { takeSupervisor } from './supervisor.ts'

/** `sallyport serve`: opens the doors, says so in one line, and serves until a signal. */
export async function serve(file: string, { watch }: { readonly watch?: true } = {}): Promise<void> {
  const supervisor = takeSupervisor(process.env, (reason) =>
    createLogger('warn').warn({ reason }, 'who started this cannot be told how it goes'),
  )
  const served = await orSettingsExit(async () => {
    refuseUnsafeEnvironment(process.env)
    makeUndumpable()
    // Before anything that may start a child.
    const passed = takePassedSockets(process.env)
    const since = await stampOfSettings(file)
    const loaded = await loadSettings(file)
    const house = await openHouse(loaded, undefined, undefined, passed)
    // As a ConfigMap changes its files, without anybody who could send a signal.
    if (watch) await watchSettings(file, since, () => void house.reload('file'))
    return { house, drainMs: loaded.settings.drainTimeoutMs }
  })
  if (!served) return
  const { house, drainMs } = served
  obeySignals(house, { ...supervisor, stopping: () => supervisor.stopping(drainMs) })
  giveBack()
  process.stdout.write(readyLine(house))
  supervisor.ready(inWords(house))
}

/**
 * Gives back what the start has left behind, 7 of some 37 MB that are this process's own: nothing else would, as long as it
 * idles. Some 50 ms, before anybody was told that it is ready. Without `--expose-gc` it stays as it is.
 */
function giveBack(): void {
  globalThis.gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' })
}

function readyLine({ listeners, admin, health, settingsDigest }: House): string {
  if (!process.stdout.isTTY) return `${JSON.stringify({ msg: 'ready', settingsDigest, listeners, admin, health })}\n`
  return `ready: ${inWords({ listeners, admin, health })}\n`
}

function inWords({ listeners, admin, health }: Pick<House, 'listeners' | 'admin' | 'health'>): string {
  const doors = listeners.map(({ kind, address }) => `${kind} ${address}`).join(', ')
  return `${doors}${admin === undefined ? '' : `; admin ${admin}`}${health === undefined ? '' : `; health ${health}`}`
}

/** A first signal to stop drains; a second one does not wait. */
function obeySignals(house: House, tell: { stopping(): void; reloading(over: Promise<void>): void }): void {
  let isStopping = false
  const stop = (signal: string, code: number) => {
    if (isStopping) process.exit(code === 0 ? 1 : code)
    isStopping = true
    house.log.info({ signal }, 'stopping')
    tell.stopping()
    house.close().then(
      () => process.exit(code),
      () => process.exit(EXIT.software),
    )
  }
  process.on('SIGTERM', () => stop('SIGTERM', 0))
  process.on('SIGINT', () => stop('SIGINT', 0))
  process.on('SIGHUP', () => tell.reloading(house.reload('signal')))
  // No input may get here; should one, what is left is to write out the audit and let the supervisor start afresh.
  process.on('uncaughtException', (error) => {
    try {
      house.log.error({ error: describe(error) }, 'an error nobody caught')
    } finally {
      stop('uncaughtException', EXIT.software)
    }
  })
}
