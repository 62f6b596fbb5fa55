import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline/promises'
import { setTimeout as wait } from 'node:timers/promises'
import { type LoginView, login as loginShape } from '../../admin/login-view.ts'
import { tokenRevocation } from '../../admin/token-revocation.ts'
import { z } from '../../forms/zod.ts'
import { ask, askAll, Refused } from './client.ts'
import type { OperatorDoor } from './door.ts'
import { revocationSaid } from './revocation.ts'
import { type Said, type VerbOptions, viaDoor } from './verb.ts'

interface LoginOptions extends VerbOptions {
  readonly caller?: string
  /** False: the answer is pasted. */
  readonly browser: boolean
}

const begun = z.object({
  url: z.string(),
  redirectUri: z.string(),
  state: z.string().optional(),
  expiresAt: z.string(),
})

/** `sallyport login`: opens the page of a login, or prints it, and waits until somebody has consented. */
export function login(connection: string, options: LoginOptions): Promise<void> {
  return viaDoor(options, (door) =>
    options.browser ? byBrowser(connection, options, door) : byPaste(connection, options, door),
  )
}

const LOOK_MS = 500

async function byBrowser(connection: string, { caller }: LoginOptions, door: OperatorDoor): Promise<Said> {
  const before = await loginOf(connection, caller, door)
  const { url, redirectUri, expiresAt } = await ask(door, begun, {
    method: 'POST',
    path: `${pathOf(connection)}/login`,
    body: { caller },
  })
  process.stderr.write(
    `Log in here, in a browser on this machine; without one, use --no-browser:\n\n  ${url}\n\n${comesBack(redirectUri)}`,
  )
  openBrowser(url)
  while (Date.now() < Date.parse(expiresAt)) {
    const now = await loginOf(connection, caller, door)
    if (now && now.id !== before?.id) return said(connection, now)
    await wait(LOOK_MS)
  }
  throw new Refused('login-failed', 'nobody has logged in within an hour')
}

async function byPaste(connection: string, { caller }: LoginOptions, door: OperatorDoor): Promise<Said> {
  const path = `${pathOf(connection)}/login`
  const { url, redirectUri, state } = await ask(door, begun, { method: 'POST', path, body: { caller, paste: true } })
  process.stderr.write(`Open this in any browser, and consent:\n\n  ${url}\n\n${comesBack(redirectUri)}`)
  process.stderr.write('Then paste the address that the browser ends at, whatever it shows there:\n')
  const answer = await firstLine()
  if (answer === '') throw new Refused('login-failed', 'nothing was pasted, so nobody has logged in')
  const made = await ask(door, loginShape, { method: 'POST', path: `${path}/finish`, body: { state, answer, caller } })
  return said(connection, made)
}

/** Most authorization servers tell of another one on a page of their own, and send nobody back. */
function comesBack(redirectUri: string): string {
  return `The client has to be registered there with this redirect URI, letter by letter: ${redirectUri}\n`
}

/** The code in it is of no use to anybody without our verifier, but it is not shown again either. */
async function firstLine(): Promise<string> {
  const lines = createInterface({ input: process.stdin })
  try {
    for await (const line of lines) if (line.trim() !== '') return line.trim()
    return ''
  } finally {
    lines.close()
  }
}

async function loginOf(
  connection: string,
  caller: string | undefined,
  door: OperatorDoor,
): Promise<LoginView | undefined> {
  const all = await Array.fromAsync(askAll(door, loginShape, { path: `${pathOf(connection)}/logins` }))
  return all.find((one) => one.caller === caller)
}

/** Where there is none, the address has been printed. */
function openBrowser(url: string): void {
  const opener = process.platform === 'darwin' ? 'open' : 'xdg-open'
  spawn(opener, [url], { stdio: 'ignore', detached: true })
    .on('error', () => undefined)
    .unref()
}

function said(connection: string, made: LoginView): Said {
  const whose = made.caller === undefined ? '' : ` for ${made.caller}`
  return { json: made, words: `logged in to ${connection}${whose}\n` }
}

interface LogoutOptions extends VerbOptions {
  readonly caller?: string
}

/** `sallyport logout`: the very next request of whoever it was for is refused, whatever the authorization server says. */
export function logout(connection: string, { caller, ...options }: LogoutOptions): Promise<void> {
  return viaDoor(options, async (door) => {
    const path = `${pathOf(connection)}/logout`
    const { revocation } = await ask(door, farewell, { method: 'POST', path, body: { caller } })
    const whose = caller === undefined ? '' : ` for ${caller}`
    const words = `logged out of ${connection}${whose}\n`
    return { json: { connection, caller, revocation }, words, ...revocationSaid(revocation) }
  })
}

const farewell = z.object({ revocation: tokenRevocation })

function pathOf(connection: string): string {
  return `/v1/connections/${encodeURIComponent(connection)}`
}
