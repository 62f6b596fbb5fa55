import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Rule } from '../core/rule.ts'
import { type ApiDescription, readDescription } from './api-description.ts'
import { readDocument } from './document.ts'
import type { SettingsFault } from './fault.ts'
import type { Settings } from './schema.ts'

/** Settings whose operations have become rules, or what is wrong with them. */
export interface WithOperations {
  readonly settings: Settings
  readonly faults: readonly SettingsFault[]
  /** The texts of the descriptions, each file once, in the order in which the settings first name them. */
  readonly descriptions: readonly string[]
  /** The paths of those that everybody may write to: whoever does says what rules let through. */
  readonly openToAll: readonly string[]
}

type Grant = Settings['grants'][number]
type RuleSettings = NonNullable<Grant['rules']>[number]

/** Reads the API descriptions that rules refer to, each file once, and makes rules of the operations that are named. */
export async function withOperations(settings: Settings, directory: string): Promise<WithOperations> {
  const faults: SettingsFault[] = []
  const documents = new Map<string, Promise<Document>>()
  const read = async (file: string): Promise<unknown> => {
    const path = resolve(directory, file)
    const document = documents.get(path) ?? readAny(path)
    documents.set(path, document)
    return (await document).value
  }
  const grants = await Promise.all(
    settings.grants.map(async (grant, index) => {
      const hosts = settings.connections[grant.connection]?.hosts ?? []
      const rules = await Promise.all(
        (grant.rules ?? []).map(async (rule, at) => {
          const made = await expand(rule, { hosts, read })
          faults.push(
            ...made.faults.map(({ path, message }) => ({ path: ['grants', index, 'rules', at, ...path], message })),
          )
          return made.rule
        }),
      )
      return grant.rules === undefined ? grant : { ...grant, rules }
    }),
  )
  const whole = { ...settings, grants }
  if (faults.length > 0) return { settings: whole, faults, descriptions: [], openToAll: [] }
  const all = await Promise.all(documents.values())
  const descriptions = all.map(({ text }) => text)
  const openToAll = [...documents.keys()].filter((_, at) => all[at]?.isOpenToAll)
  return { settings: whole, faults, descriptions, openToAll }
}

/**
 * The rules that let exactly these operations through, of a description on this machine. `hosts`: those of the connection.
 * @throws Error in words, with everything that is wrong
 */
export async function rulesForOperations(
  file: string,
  ids: readonly string[],
  hosts: readonly string[],
): Promise<readonly Rule[]> {
  const description = await describe(file, { hosts, read: async (path) => (await readAny(path)).value })
  if (typeof description === 'string') throw new Error(description)
  const made = ids.map((id) => [id, description.ruleFor(id)] as const)
  const faults = made.flatMap(([id, one]) => (typeof one === 'string' ? [`${id}: ${one}`] : []))
  if (faults.length > 0) throw new Error(faults.join('\n'))
  return made.flatMap(([, one]) => (typeof one === 'string' ? [] : [one]))
}

interface Reading {
  readonly hosts: readonly string[]
  read(file: string): Promise<unknown>
}

async function expand(
  rule: RuleSettings,
  { hosts, read }: Reading,
): Promise<{ rule: RuleSettings; faults: readonly SettingsFault[] }> {
  const { openapi, operations = [] } = rule
  if (!openapi) return { rule, faults: [] }
  const description = await describe(openapi.file, { hosts, read })
  if (typeof description === 'string') return { rule, faults: [{ path: ['openapi'], message: description }] }
  const made = operations.map((id) => description.ruleFor(id))
  const faults = made.flatMap((one, at) =>
    typeof one === 'string' ? [{ path: ['operations', at], message: one }] : [],
  )
  return { rule: { ...rule, alternatives: made.filter((one): one is Rule => typeof one !== 'string') }, faults }
}

async function describe(file: string, { hosts, read }: Reading): Promise<ApiDescription | string> {
  try {
    return readDescription(await read(file), hosts)
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/** A file, and what it says. */
interface Document {
  readonly text: string
  readonly value: unknown
  readonly isOpenToAll: boolean
}

/** YAML 1.2 takes JSON too, but not that fast, and descriptions are long. */
async function readAny(path: string): Promise<Document> {
  const { text, isOpenToAll } = await textOf(path)
  if (text.trimStart().startsWith('{')) {
    try {
      return { text, value: JSON.parse(text), isOpenToAll }
    } catch {
      // YAML says where it is wrong.
    }
  }
  const { value, faults } = readDocument(text, path)
  if (faults.length > 0) throw new Error(faults[0])
  return { text, value, isOpenToAll }
}

/** The longest that are published have a third of it. */
const MAX_BYTES = 32 * 1024 * 1024
const EVERYBODY_WRITES = 0o002

/** Operators who may only look name files too, in a candidate: none of them may keep a thread waiting, or fill the memory. */
async function textOf(path: string): Promise<Pick<Document, 'text' | 'isOpenToAll'>> {
  // Not blocking: opening a FIFO would otherwise wait for a writer.
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((error: NodeJS.ErrnoException) => {
    throw new Error(`${path} cannot be read (${error.code}): use the path of an OpenAPI description`)
  })
  try {
    const found = await handle.stat()
    if (!found.isFile()) throw new Error(`${path} is no regular file: use the path of an OpenAPI description`)
    if (found.size > MAX_BYTES) throw new Error(`${path} has more than 32 MiB: use a smaller description`)
    return { text: await handle.readFile('utf8'), isOpenToAll: (found.mode & EVERYBODY_WRITES) !== 0 }
  } finally {
    await handle.close()
  }
}
