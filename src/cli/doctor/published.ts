import { readFile, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { clientFileContents } from '../../ca/client-files.ts'
import { inShell } from '../../forms/in-shell.ts'
import type { Settings } from '../../settings/schema.ts'
import { codeOf } from '../../wire/opening.ts'
import { holdsCertificate } from '../../wire/trust.ts'
import type { Told } from './finding.ts'

/** What a sidecar has written for those who are to trust its authority. */
export interface Published {
  readonly bundle: string
  /** PEM of the authority on the disk. */
  readonly certificate: string
  readonly config: string
  readonly settings: Settings
}

/**
 * Whether the bundle and the files beside it are those of the authority, and who can read them. Programs that find an older
 * authority there trust nothing that is intercepted.
 */
export async function publishedTold(published: Published): Promise<readonly Told[]> {
  const { bundle: subject, certificate, config } = published
  const remedy = `sallyport ca path --config ${inShell(config)}`
  try {
    const pem = await readFile(subject, 'utf8')
    if (!holdsCertificate(pem, certificate))
      return [{ subject, state: 'failed', says: 'the bundle does not hold the authority', remedy }]
    return [await reachTold(published), ...(await clientFilesTold(subject, pem, remedy))]
  } catch (error) {
    return [{ subject, state: 'failed', says: `the bundle cannot be read (${codeOf(error)})`, remedy }]
  }
}

async function clientFilesTold(bundle: string, pem: string, remedy: string): Promise<readonly Told[]> {
  const told: Told[] = []
  for (const [subject, content] of clientFileContents(bundle, pem)) {
    const found = await readFile(subject).catch(() => undefined)
    if (found === undefined) told.push({ subject, state: 'failed', says: 'cannot be read', remedy })
    else if (!found.equals(Buffer.from(content)))
      told.push({ subject, state: 'failed', says: 'is not of this bundle', remedy })
  }
  return told
}

async function reachTold({ bundle: subject, settings }: Published): Promise<Told> {
  const says = 'the bundle holds the authority'
  if (await isOpen(dirname(subject))) return { subject, state: 'ok', says }
  const closed = `${says}, and only the user ${process.geteuid?.()} can read it`
  if (!expectsOthers(settings))
    return { subject, state: 'ok', says: `${closed}: for others there is ca: { bundle: PATH }` }
  const remedy = 'add to "ca" of the settings: bundle: PATH, in a directory that the users of the apps may enter'
  return { subject, state: 'warning', says: closed, remedy }
}

/** Whether every user may enter it. */
async function isOpen(directory: string): Promise<boolean> {
  const { mode } = await stat(directory)
  if ((mode & 0o001) === 0) return false
  return directory === dirname(directory) || isOpen(dirname(directory))
}

/** Whether the settings speak of apps of other users. */
function expectsOthers({ callers, listeners }: Settings): boolean {
  const isOther = (caller: Settings['callers'][string]) =>
    caller.kind === 'unix-peer' && (caller.uid === undefined || caller.uid !== process.geteuid?.())
  return Object.values(callers).some(isOther) || listeners.some(isForOthers)
}

/** Where systemd opens a socket, it is for apps that run as somebody else: its unit says who may connect. */
function isForOthers(one: Settings['listeners'][number]): boolean {
  if (one.kind === 'transparent') return false
  return one.systemd !== undefined || (Number.parseInt(one.mode ?? '0600', 8) & 0o077) !== 0
}
