import { connect } from 'node:net'
import { inShell } from '../../forms/in-shell.ts'
import type { ListenAddress } from '../../wire/listen.ts'
import { codeOf, opening } from '../../wire/opening.ts'
import { createOriginalDestinationReader } from '../../wire/original-destination.ts'
import { examine, examineAll, type Told } from './finding.ts'
import { fixedPlace, type Site } from './site.ts'

/** Whether something listens at every door. */
export function examineDoors({ loaded }: Site): Promise<readonly Told[]> {
  return examineAll(loaded.settings.listeners, async ({ kind, listen }) => {
    const subject = `${kind} ${listen}`
    const place = fixedPlace(listen, loaded)
    if (!place) return [atChosenPort(subject)]
    return examine(subject, async (signal) => {
      // Throws where it cannot: then the sidecar does not start either.
      if (kind === 'transparent') createOriginalDestinationReader()
      const fault = await knock(place, signal)
      return fault === undefined
        ? { subject, state: 'ok', says: kind === 'transparent' ? UNSEEN : 'something listens' }
        : { subject, state: 'failed', ...fault, ...(fault.remedy === '' && { remedy: serveLine(loaded.file) }) }
    })
  })
}

/** Only root may read the rules; a connection from here would be judged by them, and tell of this user alone. */
const UNSEEN = 'something listens; what is redirected to it is told by: nft list ruleset'

/** What can be said of a door whose port the kernel picks. */
export function atChosenPort(subject: string): Told {
  return { subject, state: 'skipped', says: 'its port is chosen at start: name one to have it looked at' }
}

/** What starts the sidecar. */
export function serveLine(file: string): string {
  return `sallyport serve --config ${inShell(file)}`
}

interface Fault {
  readonly says: string
  /** Empty: start the sidecar. */
  readonly remedy: string
}

/** What keeps this process from connecting there; undefined: nothing. */
async function knock(place: ListenAddress, signal: AbortSignal): Promise<Fault | undefined> {
  const socket = connect(place.kind === 'unix' ? { path: place.path } : { host: place.host, port: place.port })
  try {
    await opening(socket, 'connect', signal)
    return undefined
  } catch (error) {
    if (signal.aborted) throw error
    return faultOf(codeOf(error))
  } finally {
    socket.destroy()
  }
}

function faultOf(code: string): Fault {
  if (code === 'EACCES')
    return {
      says: `the user ${process.geteuid?.()} may not open it`,
      remedy: 'use mode: "0660" at the listener, and put the user of the app into the group of the socket',
    }
  return { says: `nothing listens there (${code})`, remedy: '' }
}
