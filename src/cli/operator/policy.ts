import { readFile } from 'node:fs/promises'
import { z } from '../../forms/zod.ts'
import { amend } from '../../settings/amend.ts'
import { codeOf } from '../../wire/opening.ts'
import { EXIT } from '../exit-codes.ts'
import { ask } from './client.ts'
import { type Column, tableOf } from './output.ts'
import { timeBack } from './time.ts'
import { type VerbOptions, viaDoor } from './verb.ts'

const shift = z.object({
  caller: z.string(),
  connection: z.string().optional(),
  host: z.string().optional(),
  method: z.string(),
  path: z.string().optional(),
  count: z.int(),
  reason: z.string(),
  code: z.string().optional(),
})
type Shift = z.infer<typeof shift>
const replayed = z.object({
  newlyDenied: z.array(shift.loose()),
  newlyAllowed: z.array(shift.loose()),
  newlyCredentialed: z.array(shift.loose()),
  replayed: z.int(),
  skipped: z.int(),
})

interface ReplayOptions extends VerbOptions {
  readonly candidate: string
  readonly since: string
}

/** `sallyport policy replay`: what other settings would have decided otherwise. Exit 1 when there is anything. */
export function replay(options: ReplayOptions): Promise<void> {
  return viaDoor(options, async (door) => {
    const candidate = await readCandidate(options.candidate)
    const body = { candidate, since: timeBack(options.since, Date.now()) }
    const answer = await ask(door, replayed, { method: 'POST', path: '/v1/policy/replay', body })
    const { newlyDenied, newlyAllowed, newlyCredentialed, skipped } = answer
    const words = [
      section('would be denied', newlyDenied),
      section('would be allowed', newlyAllowed),
      section('would be given a credential', newlyCredentialed),
    ].filter((text) => text !== '')
    const isChanged = words.length > 0
    const left = skipped === 0 ? '' : `; of ${skipped} more too little is known`
    const summary = `${answer.replayed} requests since ${body.since}${isChanged ? '' : ': nothing would change'}${left}\n`
    return { json: answer, words: [...words, summary].join('\n'), exitCode: isChanged ? EXIT.refused : 0 }
  })
}

interface SuggestOptions extends VerbOptions {
  readonly since: string
  readonly refused?: true
  readonly whole?: true
}

/** `sallyport policy suggest`: settings that what was asked needs, as YAML. */
export function suggest(options: SuggestOptions): Promise<void> {
  return viaDoor(options, async (door) => {
    const { refused: isAddition = false, whole, config } = options
    const settings = whole ? await settingsIn(config) : undefined
    const query = { since: timeBack(options.since, Date.now()), of: isAddition ? 'refused' : 'passed' }
    const answer = await ask(door, z.object({ yaml: z.string(), asks: z.int() }), { path: '/v1/policy/suggest', query })
    const yaml = settings === undefined ? answer.yaml : amend(settings, answer.yaml, { isAddition })
    return { json: { ...answer, yaml }, words: yaml, note: `made of ${answer.asks} requests since ${query.since}` }
  })
}

/** Of the machine of whoever asks: a viewer elsewhere is not shown what else stands in the settings of the sidecar. */
async function settingsIn(config: string | undefined): Promise<string> {
  if (config === undefined) throw new Error('use --config FILE with --whole: the suggestion is put into that file')
  return readCandidate(config)
}

function readCandidate(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((error: unknown) => {
    throw new Error(`${file} cannot be read (${codeOf(error)}): name a settings file`)
  })
}

function section(title: string, rows: readonly Shift[]): string {
  return rows.length === 0 ? '' : `${title}:\n${tableOf(rows, COLUMNS, '')}`
}

const COLUMNS: readonly Column<Shift>[] = [
  { head: 'COUNT', text: ({ count }) => String(count) },
  { head: 'CALLER', text: ({ caller }) => caller },
  { head: 'CONNECTION', text: ({ connection }) => connection },
  { head: 'REQUEST', text: ({ method, host = '', path = '' }) => `${method} ${host}${path}` },
  { head: 'WHY', text: ({ reason, code }) => (code === undefined ? reason : `${reason} (${code})`) },
]
