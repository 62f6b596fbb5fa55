import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { SettingsError } from '../../settings/fault.ts'
import { loadSettings } from '../../settings/load.ts'
import { type ListenAddress, parseListen } from '../../wire/listen.ts'
import { codeOf } from '../../wire/opening.ts'

/** By what the operator's door is found; the environment has the same as SALLYPORT_CONFIG, SALLYPORT_ADMIN and SALLYPORT_ADMIN_TOKEN_FILE. */
export interface DoorOptions {
  readonly config?: string | undefined
  readonly admin?: string | undefined
  readonly tokenFile?: string | undefined
}

/** Where the operator's door is, and what is shown there. */
export interface OperatorDoor {
  /** As it was said, for messages. */
  readonly said: string
  readonly place: ListenAddress
  /** Undefined where the kernel says who asks. */
  readonly token: string | undefined
}

/** @throws Error in words, SettingsError */
export async function findDoor({ config, admin, tokenFile }: DoorOptions): Promise<OperatorDoor> {
  const token = tokenFile === undefined ? undefined : await tokenIn(tokenFile)
  if (admin !== undefined)
    return { said: admin, place: placeOf(admin.replace(/^http:\/\//, '').replace(/\/$/, '')), token }
  if (config !== undefined) return { ...(await doorOf(config)), token }
  throw new Error('use --config FILE, or --admin unix:PATH or http://127.0.0.1:PORT, to say where the sidecar is')
}

async function doorOf(config: string): Promise<Pick<OperatorDoor, 'said' | 'place'>> {
  const { settings, file } = await loadSettings(config).catch((error: unknown): never => {
    throw error instanceof SettingsError ? new SettingsError([...error.lines, STILL_THERE]) : error
  })
  const listen = settings.admin?.listen
  if (listen === undefined)
    throw new Error(`add "admin: { listen: unix:admin.sock }" to ${config}: nobody listens to operators`)
  const place = placeOf(listen)
  if (place.kind === 'tcp' && place.port === 0)
    throw new Error(
      `use --admin http://127.0.0.1:PORT: ${config} lets the kernel choose the port, and \`serve\` printed it`,
    )
  const absolute = place.kind === 'unix' ? { ...place, path: resolve(dirname(file), place.path) } : place
  return { said: absolute.kind === 'unix' ? `unix:${absolute.path}` : listen, place: absolute }
}

const STILL_THERE =
  'a sidecar that runs may still serve what the file said before: ask it by --admin unix:PATH or http://127.0.0.1:PORT'

function placeOf(text: string): ListenAddress {
  const place = parseListen(text)
  if (typeof place === 'string') throw new Error(`--admin ${text}: ${place}`)
  return place
}

async function tokenIn(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new Error(`${file} cannot be read (${codeOf(error)}): name the file of the operator's token`)
  })
  const token = text.trim()
  if (!/^[!-~]+$/.test(token)) throw new Error(`${file} holds no token: it is one word of visible ASCII`)
  return token
}
