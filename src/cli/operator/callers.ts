import { type CallerView, caller as callerShape, callerWithKey } from '../../admin/caller-view.ts'
import { z } from '../../forms/zod.ts'
import { ask, askAll } from './client.ts'
import { type Column, tableOf } from './output.ts'
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

/** `sallyport caller remove`: with its keys and its grants. */
export function removeCaller(name: string, options: VerbOptions): Promise<void> {
  return viaDoor(options, async (door) => {
    await ask(door, z.undefined(), { method: 'DELETE', path: `/v1/callers/${encodeURIComponent(name)}` })
    return { json: { removed: name }, words: `removed: ${name}, with its keys and its grants\n` }
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
