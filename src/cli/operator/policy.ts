import { readFile } from 'node:fs/promises'
import { z } from '../../forms/zod.ts'
import { codeOf } from '../../wire/opening.ts'
import { EXIT } from '../exit-codes.ts'
import { ask } from './client.ts'
import { type Column, tableOf } from './output.ts'
import { timeBack } from './time.ts'
import { type VerbOptions, viaDoor } from './verb.ts'

const changed = z.object({
  caller: z.string(),
  connection: z.string().optional(),
  method: z.string(),
  host: z.string(),
  path: z.string(),
  count: z.int(),
  was: z.string(),
  now: z.string(),
})
type Changed = z.infer<typeof changed>
const replayed = z.object({
  asks: z.int(),
  denied: z.array(changed),
  allowed: z.array(changed),
  credentialed: z.array(changed),
})

interface ReplayOptions extends VerbOptions {
  readonly candidate: string
  readonly since: string
}

/** `sallyport policy replay`: what other settings would have decided otherwise. Exit 1 when there is anything. */
export function replay(options: ReplayOptions): Promise<void> {
  return viaDoor(options, async (door) => {
    const candidate = await readFile(options.candidate, 'utf8').catch((error: unknown) => {
      throw new Error(`${options.candidate} cannot be read (${codeOf(error)}): name a settings file`)
    })
    const body = { candidate, since: timeBack(options.since, Date.now()) }
    const answer = await ask(door, replayed, { method: 'POST', path: '/v1/policy/replay', body })
    const { asks, denied, allowed, credentialed } = answer
    const words = [
      section('would be denied', denied),
      section('would be allowed', allowed),
      section('would be given a credential', credentialed),
    ].filter((text) => text !== '')
    const isChanged = words.length > 0
    const summary = `${asks} requests since ${body.since}${isChanged ? '' : ': nothing would change'}\n`
    return { json: answer, words: [...words, summary].join('\n'), exitCode: isChanged ? EXIT.refused : 0 }
  })
}

interface SuggestOptions extends VerbOptions {
  readonly since: string
}

/** `sallyport policy suggest`: settings that what was asked needs, as YAML. */
export function suggest(options: SuggestOptions): Promise<void> {
  return viaDoor(options, async (door) => {
    const query = { since: timeBack(options.since, Date.now()) }
    const answer = await ask(door, z.object({ yaml: z.string() }), { path: '/v1/policy/suggest', query })
    return { json: answer, words: answer.yaml }
  })
}

function section(title: string, rows: readonly Changed[]): string {
  return rows.length === 0 ? '' : `${title}:\n${tableOf(rows, COLUMNS, '')}`
}

const COLUMNS: readonly Column<Changed>[] = [
  { head: 'COUNT', text: ({ count }) => String(count) },
  { head: 'CALLER', text: ({ caller }) => caller },
  { head: 'CONNECTION', text: ({ connection }) => connection },
  { head: 'REQUEST', text: ({ method, host, path }) => `${method} ${host}${path}` },
  { head: 'WAS', text: ({ was }) => was },
  { head: 'NOW', text: ({ now }) => now },
]
