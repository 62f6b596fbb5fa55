import { type CallerView, caller as callerShape, callerWithKey } from '../../admin/caller-view.ts'
import { tokenRevocation } from '../../admin/token-revocation.ts'
import { z } from '../../forms/zod.ts'
import { ask, askAll } from './client.ts'
import { type Column, tableOf } from './output.ts'
import { revocationSaid } from './revocation.ts'
import { durationOf } from './time.ts'
import { type VerbOptions, viaDoor } from './verb.ts'

/** `sallyport caller add`: the key goes to standard output alone, this once, so that it can be piped into a file. */
export function addCaller(name: string, options: VerbOptions): Promise<void> {
  return viaDoor(options, async (door) => {
    const made = await ask(door, callerWithKey, { method: 'POST', path: '/v1/callers', body: { name } })
    return { json: made, words: `${made.key}\n`, note: `the key of ${name}, shown this once: only its digest is kept` }
  })
}

interface RotateOptions extends VerbOptions {
  readonly overlap?: string
}

const newKey = z.object({ name: z.string(), key: z.string() })

/** `sallyport caller rotate-key`: another key, and how long the ones before it go on being good. */
export function rotateKey(name: string, options: RotateOptions): Promise<void> {
  return viaDoor(options, async (door) => {
    const overlapMs = options.overlap === undefined ? 0 : durationOf(options.overlap)
    const path = `/v1/callers/${encodeURIComponent(name)}/rotate-key`
    const made = await ask(door, newKey.loose(), { method: 'POST', path, body: { overlapMs } })
    const others = overlapMs === 0 ? 'the one before it has ended' : `the one before it ends in ${options.overlap}`
    return { json: made, words: `${made.key}\n`, note: `the new key of ${name}, shown this once; ${others}` }
  })
}

const removal = z.object({ logins: z.array(z.object({ connection: z.string(), revocation: tokenRevocation })) })

/** `sallyport caller remove`: with its keys, its grants and its logins. */
export function removeCaller(name: string, options: VerbOptions): Promise<void> {
  return viaDoor(options, async (door) => {
    const { logins } = await ask(door, removal, { method: 'DELETE', path: `/v1/callers/${encodeURIComponent(name)}` })
    const all = logins.map(({ connection, revocation }) => ({ connection, ...revocationSaid(revocation) }))
    const notes = all.flatMap(({ connection, note }) => (note === undefined ? [] : [`login of ${connection}: ${note}`]))
    const what = logins.length === 0 ? 'its keys and its grants' : 'its keys, its grants and its logins'
    return {
      json: { removed: name, logins },
      words: `removed: ${name}, with ${what}\n`,
      ...(notes.length > 0 && { note: notes.join('\n') }),
      exitCode: Math.max(0, ...all.map(({ exitCode = 0 }) => exitCode)),
    }
  })
}

/** `sallyport caller list`: declared and stored. */
export function listCallers(options: VerbOptions): Promise<void> {
  return viaDoor(options, async (door) => {
    const found = await Array.fromAsync(askAll(door, callerShape, { path: '/v1/callers' }))
    return { json: found, words: tableOf(found, COLUMNS, 'no callers') }
  })
}

const COLUMNS: readonly Column<CallerView>[] = [
  { head: 'CALLER', text: ({ name }) => name },
  { head: 'PROOF', text: ({ proof }) => proof },
  { head: 'KEYS', text: ({ keys }) => keys && String(keys.length) },
  { head: 'SINCE', text: ({ createdAt }) => createdAt },
  { head: 'BY', text: ({ source, createdBy }) => createdBy ?? source },
]
