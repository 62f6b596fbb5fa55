import { type ConnectionView, connection as connectionShape } from '../../admin/connection-view.ts'
import { type LoginView, login as loginShape } from '../../admin/login-view.ts'
import { ask, askAll } from './client.ts'
import type { OperatorDoor } from './door.ts'
import { type Column, factsOf, tableOf } from './output.ts'
import { type VerbOptions, viaDoor } from './verb.ts'

/** `sallyport connection list` */
export function listConnections(options: VerbOptions): Promise<void> {
  return viaDoor(options, async (door) => {
    const found = await Array.fromAsync(askAll(door, connectionShape, { path: '/v1/connections' }))
    return { json: found, words: tableOf(found, COLUMNS, 'no connections') }
  })
}

/** `sallyport connection show` */
export function showConnection(name: string, options: VerbOptions): Promise<void> {
  return viaDoor(options, async (door) => {
    const found = await connectionAt(door, name)
    const isPerCaller = found.login?.identity === 'per-caller'
    const path = `${pathOf(name)}/logins`
    const logins = isPerCaller ? await Array.fromAsync(askAll(door, loginShape, { path })) : []
    return { json: found, words: inWords(found, logins) }
  })
}

/** A connection as it is now. @throws Refused where there is none */
export function connectionAt(door: OperatorDoor, name: string): Promise<ConnectionView> {
  return ask(door, connectionShape, { path: pathOf(name) })
}

interface DisableOptions extends VerbOptions {
  readonly reason?: string
}

/** `sallyport connection disable`: for everybody, at once; what is under way is cut. */
export function disableConnection(name: string, options: DisableOptions): Promise<void> {
  return viaDoor(options, async (door) => {
    const body = options.reason === undefined ? {} : { reason: options.reason }
    const found = await ask(door, connectionShape, { method: 'POST', path: `${pathOf(name)}/disable`, body })
    return { json: found, words: `${name} is off for everybody\n` }
  })
}

/** `sallyport connection enable` */
export function enableConnection(name: string, options: VerbOptions): Promise<void> {
  return viaDoor(options, async (door) => {
    const found = await ask(door, connectionShape, { method: 'POST', path: `${pathOf(name)}/enable` })
    return { json: found, words: `${name} is on\n` }
  })
}

function pathOf(name: string): string {
  return `/v1/connections/${encodeURIComponent(name)}`
}

const COLUMNS: readonly Column<ConnectionView>[] = [
  { head: 'CONNECTION', text: ({ name }) => name },
  { head: 'HOSTS', text: ({ hosts }) => hosts.join(',') },
  { head: 'SOURCE', text: ({ source }) => source },
  { head: 'STATE', text: stateText },
  { head: 'EXPIRES', text: ({ expiresAt }) => expiresAt },
  { head: 'HOLDERS', text: ({ holders }) => String(holders) },
]

function stateText({ disabled, phase, login }: ConnectionView): string {
  if (disabled) return 'off'
  return login && login.state !== 'ok' ? login.state : phase
}

function inWords(one: ConnectionView, logins: readonly LoginView[]): string {
  const { disabledBy, lastError } = one
  return factsOf({
    connection: one.name,
    hosts: `${one.hosts.join(', ')} port ${one.port}`,
    source: one.source,
    injection: one.injection,
    connect: one.connect,
    state: stateText(one),
    'switched off':
      disabledBy && [disabledBy.by ?? 'by the settings', disabledBy.at, disabledBy.reason].filter(Boolean).join(', '),
    login: one.login && `${one.login.state}, ${one.login.identity}, ${one.login.count} in use`,
    'logged in': logins.map(({ caller, state }) => `${caller} (${state})`).join(', ') || undefined,
    'last mint': one.mintedAt,
    expires: one.expiresAt,
    'next attempt': one.nextAttemptAt,
    'last error': lastError && `${lastError.at} ${lastError.code}: ${lastError.reason}`,
    holders: one.holders,
  })
}
