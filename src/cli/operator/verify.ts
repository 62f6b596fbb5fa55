import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { type Verification, verifyAudit } from '../../audit/verify.ts'
import { z } from '../../forms/zod.ts'
import { codeOf } from '../../wire/opening.ts'
import { EXIT } from '../exit-codes.ts'
import { orSettingsExit } from '../failing.ts'
import { ask, lines } from './client.ts'
import { findDoor } from './door.ts'
import { jsonOf } from './output.ts'
import type { VerbOptions } from './verb.ts'

interface VerifyOptions extends VerbOptions {
  readonly publicKey?: readonly string[]
}

/**
 * `sallyport audit verify`: whether an audit is whole and unaltered: files, oldest first, or what the running sidecar has in
 * its store. Exit 1 where it is not, and the first thing that is wrong.
 */
export async function verify(files: readonly string[], options: VerifyOptions): Promise<void> {
  await orSettingsExit(async () => {
    const publicKeys = await Promise.all((options.publicKey ?? []).map(readKey))
    const source = files.length === 0 ? fromStore(options) : fromFiles(files)
    const result = await verifyAudit(source, publicKeys.length === 0 ? {} : { publicKeys })
    const filing = files.length === 0 ? await filingOf(options) : ALL_FILED
    if (!result.isIntact || filing.misfiled > 0) process.exitCode = EXIT.refused
    const told = { ...result, heads: Object.fromEntries(result.heads), misfiled: filing.misfiled }
    process.stdout.write(options.json ? jsonOf(told) : inWords(result) + filingInWords(filing))
  })
}

async function* fromFiles(files: readonly string[]): AsyncGenerator<string> {
  for (const file of files) {
    try {
      yield* createInterface({ input: createReadStream(file), crlfDelay: Number.POSITIVE_INFINITY })
    } catch (cause) {
      const remedy = 'name the files of one json-lines sink, oldest first'
      throw new Error(`${file} cannot be read (${codeOf(cause)}): ${remedy}`, { cause })
    }
  }
}

async function* fromStore(options: VerbOptions): AsyncGenerator<string> {
  yield* lines(await findDoor(options), { path: '/v1/audit/export' }, new AbortController().signal)
}

async function readKey(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((error: unknown) => {
    throw new Error(`${file} cannot be read (${codeOf(error)}): name the PEM file of a public key`)
  })
}

const filed = z.object({
  misfiled: z.int(),
  first: z.object({ instance: z.string(), run: z.string(), seq: z.int() }).optional(),
})
type Filing = z.infer<typeof filed>
const ALL_FILED: Filing = { misfiled: 0 }

async function filingOf(options: VerbOptions): Promise<Filing> {
  return ask(await findDoor(options), filed, { path: '/v1/audit/misfiled' })
}

/** A row that is filed under other keys than its line says is found by no search, and breaks no chain. */
function filingInWords({ misfiled, first }: Filing): string {
  if (misfiled === 0 || !first) return ''
  const where = `instance ${first.instance}, run ${first.run}, entry ${first.seq}`
  return `not as filed: searches do not find ${misfiled} lines by what they say, the first of them ${where}\n`
}

function inWords(result: Verification): string {
  const { isIntact, fault, faults, lines: count, runs, signed, unsigned, dropped } = result
  const summary = `${count} lines of ${runs} runs, ${signed} checkpoints with a good signature, ${unsigned} lines that none of them vouches for`
  const lost = dropped === 0 ? '' : `; ${dropped} were dropped, and a record says so`
  if (isIntact || !fault) return `intact: ${summary}${lost}\n`
  const { code, message, line, instance, run, seq } = fault
  const where = [instance && `instance ${instance}`, run && `run ${run}`, seq !== undefined && `entry ${seq}`].filter(
    Boolean,
  )
  return `not intact: line ${line}${where.length > 0 ? `, ${where.join(', ')}` : ''}: ${message} (${code})\n${faults} faults in ${summary}${lost}\n`
}
