import { type GrantView, grant as grantShape } from '../../admin/grant-view.ts'
import type { Rule } from '../../core/rule.ts'
import { z } from '../../forms/zod.ts'
import { rulesForOperations } from '../../settings/operations.ts'
import { EXIT } from '../exit-codes.ts'
import { ask, askAll } from './client.ts'
import { connectionAt } from './connections.ts'
import type { OperatorDoor } from './door.ts'
import { type Column, tableOf } from './output.ts'
import { timeAhead } from './time.ts'
import { type Said, type VerbOptions, viaDoor } from './verb.ts'

interface GrantOptions extends VerbOptions {
  readonly to: string
  readonly methods?: readonly string[]
  readonly paths?: readonly string[]
  readonly openapi?: string
  readonly operations?: readonly string[]
  readonly until?: string
}

/** `sallyport grant`: the very next request is let through. */
export function grant(connection: string, options: GrantOptions): Promise<void> {
  return viaDoor(options, async (door) => {
    const { until } = options
    const rules = await rulesOf(connection, options, door)
    const body = {
      ...holderOf(options.to),
      connection,
      ...(rules && { rules }),
      ...(until !== undefined && { until: timeAhead(until, Date.now()) }),
    }
    const made = await ask(door, grantShape, { method: 'POST', path: '/v1/grants', body })
    return { json: made, words: `${inWords(made)}\n` }
  })
}

/** A description is read here, by whoever may read it: the sidecar opens no file that an operator names. */
async function rulesOf(
  connection: string,
  { methods, paths, openapi, operations }: GrantOptions,
  door: OperatorDoor,
): Promise<readonly Rule[] | undefined> {
  if (openapi === undefined && operations === undefined) {
    const rule = { ...(methods && { methods: methods.map((one) => one.toUpperCase()) }), ...(paths && { paths }) }
    return methods || paths ? [rule] : undefined
  }
  if (methods || paths) throw new Error('use --openapi and --operations, or --methods and --paths: operations say both')
  // Without a rule, everything would be granted.
  if (openapi === undefined || !operations?.length)
    throw new Error('use --openapi FILE and --operations ID,ID: which operations, and where they are described')
  const { hosts } = await connectionAt(door, connection)
  return rulesForOperations(openapi, operations, hosts)
}

interface RevokeOptions extends VerbOptions {
  readonly from?: string
  readonly id?: string
}

const revoked = z.object({ revoked: z.array(grantShape), declared: z.array(grantShape) })

/** `sallyport revoke`: the very next request is refused, and what is under way is cut. Exit 1 where a declared grant goes on. */
export function revoke(connection: string | undefined, options: RevokeOptions): Promise<void> {
  return viaDoor(options, async (door) => {
    const { from, id } = options
    if (id !== undefined && connection === undefined && from === undefined) return revokeOne(door, id)
    if (id !== undefined || connection === undefined || from === undefined)
      throw new Error('use a connection and --from HOLDER, or --id ID alone')
    const body = { ...holderOf(from), connection }
    const answer = await ask(door, revoked, { method: 'POST', path: '/v1/grants/revoke', body })
    const words = answer.revoked.map((one) => `revoked: ${inWords(one)}\n`).join('')
    if (answer.declared.length === 0) return { json: answer, words }
    const note = `${from} can still use ${connection}: take ${answer.declared.map(({ id }) => id).join(', ')} out of the settings file`
    return { json: answer, words, note, exitCode: EXIT.refused }
  })
}

async function revokeOne(door: OperatorDoor, id: string): Promise<Said> {
  await ask(door, z.undefined(), { method: 'DELETE', path: `/v1/grants/${encodeURIComponent(id)}` })
  return { json: { revoked: id }, words: `revoked: ${id}\n` }
}

interface ListOptions extends VerbOptions {
  readonly caller?: string
  readonly group?: string
  readonly connection?: string
}

/** `sallyport grants`: declared and stored. */
export function grants(options: ListOptions): Promise<void> {
  return viaDoor(options, async (door) => {
    const { caller, group, connection } = options
    const found = await Array.fromAsync(
      askAll(door, grantShape, { path: '/v1/grants', query: { caller, group, connection } }),
    )
    return { json: found, words: tableOf(found, COLUMNS, 'no grants') }
  })
}

/** `checkout`, or `group:west-sales`. */
export function holderOf(text: string): { readonly caller: string } | { readonly group: string } {
  return text.startsWith('group:') ? { group: text.slice('group:'.length) } : { caller: text }
}

function holderText({ caller, group = '' }: GrantView): string {
  return caller ?? `group:${group}`
}

function inWords(one: GrantView): string {
  const until = one.until === undefined ? '' : `, until ${one.until}`
  return `${holderText(one)} may use ${one.connection} (${rulesText(one)})${until}: ${one.id}`
}

function rulesText({ rules, isUnreadable }: GrantView): string {
  if (isUnreadable) return 'unreadable: revoke it'
  if (rules.length === 0) return 'everything'
  return rules
    .map(({ methods, paths }) => `${methods?.join(',') ?? 'any method'} ${paths?.join(',') ?? 'any path'}`)
    .join('; ')
}

const COLUMNS: readonly Column<GrantView>[] = [
  { head: 'HOLDER', text: holderText },
  { head: 'CONNECTION', text: ({ connection }) => connection },
  { head: 'RULES', text: rulesText },
  { head: 'UNTIL', text: ({ until }) => until },
  { head: 'BY', text: ({ source, createdBy }) => createdBy ?? source },
  { head: 'ID', text: ({ id }) => id },
]
