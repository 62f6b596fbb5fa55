import { text } from 'node:stream/consumers'
import { Secret } from '../../core/secret.ts'
import { z } from '../../forms/zod.ts'
import { orSettingsExit } from '../failing.ts'
import { ask, askAll } from './client.ts'
import type { OperatorDoor } from './door.ts'
import { withStore } from './offline.ts'
import { type Column, jsonOf, tableOf } from './output.ts'
import { type VerbOptions, viaDoor } from './verb.ts'

const version = z.object({ name: z.string(), version: z.int(), createdAt: z.string(), createdBy: z.string() })
type Version = z.infer<typeof version>

/** `sallyport secret set`: a value from standard input, never from the command line, where every user could read it. */
export function setSecret(name: string, options: SetOptions): Promise<void> {
  if (options.offline) return setOffline(name, options)
  return viaDoor(options, async (door) => put(door, name))
}

interface SetOptions extends VerbOptions {
  readonly offline?: true
}

/** Before the first start: a sidecar whose secret is not there does not open. */
async function setOffline(name: string, { config, json }: SetOptions): Promise<void> {
  await orSettingsExit(async () => {
    const value = new Secret(await valueFor(name))
    const made = await withStore(config, ({ secrets }) =>
      secrets.put(name, value, `uid-${process.geteuid?.()} offline`),
    )
    process.stdout.write(json ? jsonOf(made) : `${made.name}@${made.version}\n`)
  })
}

/** `sallyport secret rotate`: the next version of a secret that is there. */
export function rotateSecret(name: string, options: VerbOptions): Promise<void> {
  return viaDoor(options, async (door) => {
    const found = await Array.fromAsync(askAll(door, version, { path: '/v1/secrets' }))
    if (!found.some((one) => one.name === name))
      throw new Error(`there is no secret ${name} to rotate: use \`secret set\``)
    return put(door, name)
  })
}

async function valueFor(name: string): Promise<string> {
  if (process.stdin.isTTY)
    throw new Error(`pipe the value in, so that nobody sees it: sallyport secret set ${name} < FILE`)
  const value = (await text(process.stdin)).replace(/\r?\n$/, '')
  if (value === '') throw new Error('standard input is empty: pipe the value of the secret in')
  return value
}

async function put(door: OperatorDoor, name: string) {
  const value = await valueFor(name)
  const made = await ask(door, version, {
    method: 'PUT',
    path: `/v1/secrets/${encodeURIComponent(name)}`,
    body: { value },
  })
  return { json: made, words: `${made.name}@${made.version}\n` }
}

/** `sallyport secret remove`: refused while the settings of the sidecar name it. */
export function removeSecret(name: string, options: VerbOptions): Promise<void> {
  return viaDoor(options, async (door) => {
    await ask(door, z.undefined(), { method: 'DELETE', path: `/v1/secrets/${encodeURIComponent(name)}` })
    return { json: { removed: name }, words: `removed: ${name}\n` }
  })
}

/** `sallyport secret list` */
export function listSecrets(options: VerbOptions): Promise<void> {
  return viaDoor(options, async (door) => {
    const found = await Array.fromAsync(askAll(door, version, { path: '/v1/secrets' }))
    return { json: found, words: tableOf(found, COLUMNS, 'no secrets in the store') }
  })
}

const COLUMNS: readonly Column<Version>[] = [
  { head: 'SECRET', text: ({ name, version: number }) => `${name}@${number}` },
  { head: 'SINCE', text: ({ createdAt }) => createdAt },
  { head: 'BY', text: ({ createdBy }) => createdBy },
]
