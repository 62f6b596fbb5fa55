import { dirname, resolve } from 'node:path'
import { faultOfKept } from '../ca/directory.ts'
import { namingSettings } from '../ca/root-file.ts'
import { parseListen } from '../wire/listen.ts'
import { faultOfSocketPlace } from '../wire/unix-socket.ts'
import type { SettingsFault } from './fault.ts'
import { listeningIn } from './listening.ts'
import type { Loaded } from './load.ts'
import { caPlace, interceptedHosts } from './policy.ts'

/**
 * What a start would refuse of the places that it makes things in, as they stand now. Nothing is made, and what is not there
 * yet, or is another user's, is no fault.
 */
export async function placeFaults(loaded: Loaded, now: () => number): Promise<readonly SettingsFault[]> {
  return [...(await socketFaults(loaded)), ...(await authorityFaults(loaded, now))]
}

/** What systemd has opened is where it is. */
async function socketFaults({ settings, file }: Loaded): Promise<readonly SettingsFault[]> {
  const own = listeningIn(settings).filter(({ systemd }) => systemd === undefined)
  const faults = own.map(async ({ path, listen }) => {
    const where = parseListen(listen, { allowNonLoopback: true })
    if (typeof where === 'string' || where.kind !== 'unix') return []
    const message = await faultOfSocketPlace(resolve(dirname(file), where.path))
    return message === undefined ? [] : [{ path, message }]
  })
  return (await Promise.all(faults)).flat()
}

async function authorityFaults({ settings, file }: Loaded, now: () => number): Promise<readonly SettingsFault[]> {
  const hosts = interceptedHosts(settings)
  const { ca } = settings
  if (ca === undefined || ca === 'ephemeral' || hosts.length === 0) return []
  const message = await faultOfKept(caPlace(ca, dirname(file)).directory, { hosts, now })
  return message === undefined ? [] : [{ path: ['ca', 'directory'], message: namingSettings(message, file) }]
}
