import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { type Verification, verifyAudit } from '../../audit/verify.ts'
import { codeOf } from '../../wire/opening.ts'
import { EXIT } from '../exit-codes.ts'
import { orSettingsExit } from '../failing.ts'
import { lines } from './client.ts'
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
    if (!result.isIntact) process.exitCode = EXIT.refused
    process.stdout.write(
      options.json ? jsonOf({ ...result, heads: Object.fromEntries(result.heads) }) : inWords(result),
    )
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
