import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { type Verification, verifyAudit } from '../../audit/verify.ts'
import type { AuditFault } from '../../audit/verify-fault.ts'
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
  /** It is meant to be a part. */
  readonly partial?: true
  /** It is meant to begin with the first line that was ever written. */
  readonly fromStart?: true
}

/**
 * `sallyport audit verify`: whether an audit is whole and unaltered: files, oldest first, or what the running sidecar has in
 * its store. Exit 1 where it is not, and the first thing that is wrong. That it begins later than its instances did is told,
 * and no fault: old files are thrown away.
 */
export async function verify(files: readonly string[], options: VerifyOptions): Promise<void> {
  await orSettingsExit(async () => {
    const publicKeys = await Promise.all((options.publicKey ?? []).map(readKey))
    const source = files.length === 0 ? fromStore(options) : fromFiles(files)
    const result = await verifyAudit(source, publicKeys.length === 0 ? {} : { publicKeys })
    const filing = files.length === 0 ? await filingOf(options) : ALL_FILED
    const isGood = result.isIntact || (options.partial === true && result.isPartial)
    const isCut = options.fromStart === true && result.beginnings.size > 0
    if (!isGood || isCut || filing.misfiled > 0) process.exitCode = EXIT.refused
    const { heads, beginnings } = result
    const maps = { heads: Object.fromEntries(heads), beginnings: Object.fromEntries(beginnings) }
    const words = inWords(result, isGood) + beginningsInWords(result) + filingInWords(filing)
    process.stdout.write(options.json ? jsonOf({ ...result, ...maps, misfiled: filing.misfiled }) : words)
  })
}

async function* fromFiles(files: readonly string[]): AsyncGenerator<string> {
  for (const file of files) {
    try {
      yield* createInterface({
        input: file === '-' ? process.stdin : createReadStream(file),
        crlfDelay: Number.POSITIVE_INFINITY,
      })
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

function inWords(result: Verification, isGood: boolean): string {
  const { isIntact, isPartial, fault, faults, lines: count, runs, signed, unsigned, dropped } = result
  const read = `${count} lines of ${runs} runs`
  const summary = `${read}, ${signed} checkpoints with a good signature, ${unsigned} lines that none of them vouches for`
  const lost = dropped === 0 ? '' : `; ${dropped} were dropped, and a record says so`
  if (isIntact || !fault) return `intact: ${summary}${lost}\n`
  const { code, message, line } = fault
  const first = `line ${line}${whereOf(fault)}: ${message} (${code})`
  if (!isPartial) return `not intact: ${first}\n${faults} faults in ${summary}${lost}\n`
  const partial = `partial: ${read}, each as its hash says, and not all that were written: ${first}\n`
  return partial + (isGood ? MEANT : DOUBTFUL)
}

const MEANT = 'whether lines were taken out of it nobody can tell, and no checkpoint vouches past what is missing\n'
const DOUBTFUL =
  'an export by --since, --caller and the like looks like this, and so does an audit that lines were taken out of: use --partial where it is meant to be a part\n'

function whereOf({ instance, run, seq }: Partial<AuditFault>): string {
  const where = [instance && `instance ${instance}`, run && `run ${run}`, seq !== undefined && `entry ${seq}`]
  return where.flatMap((one) => (one ? `, ${one}` : [])).join('')
}

/** Old files are thrown away, and rows; somebody else may have done it. */
function beginningsInWords({ beginnings }: Verification): string {
  return [...beginnings]
    .map(([instance, { run, seq, after }]) => {
      const before = after ? `, behind entry ${after.seq} of run ${after.run}` : ''
      return `begins at entry ${seq} of run ${run}${before} (instance ${instance}): what was written before is not here, and nothing is said of it\n`
    })
    .join('')
}
