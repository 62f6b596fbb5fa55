import { writeSync } from 'node:fs'
import { Secret } from '../../src/core/secret.ts'
import { buildSupply, sourceSettings } from '../../src/credentials/registry.ts'
import { openStore } from '../../src/store/open.ts'
import { storeSettings } from '../../src/store/registry.ts'
import { createDialer } from '../../src/wire/dial.ts'
import { createResolver } from '../../src/wire/resolve.ts'
import { systemClock } from '../../src/wire/system-clock.ts'

/**
 * A program that gets tokens by a refresh token until somebody kills it, one after the other, and says each on standard
 * output before it asks for the next: `token TEXT`, or `failed REASON`. It begins when it is told to, by a line.
 */
interface Orders {
  readonly directory: string
  readonly store: object
  readonly source: object
  readonly secrets: Readonly<Record<string, string>>
  readonly ca: string
  /** Once: says one token, and ends. */
  readonly isOnce: boolean
}

const { directory, store: storeWish, source, secrets, ca, isOnce }: Orders = JSON.parse(process.argv[2] ?? '')
const references = {
  secret: ({ settings }: { readonly settings: Readonly<Record<string, unknown>> }) => ({
    current: () => ({ secret: new Secret(secrets[String(settings['env'])] ?? ''), version: 1 }),
  }),
  file: () => ca,
}
const store = await openStore(storeSettings.parse(storeWish), {
  references,
  clock: systemClock,
  directory,
  onFault: (message) => say(`fault ${message}`),
})
const supply = buildSupply(sourceSettings.parse(source), {
  ...references,
  clock: systemClock,
  dialer: createDialer({ resolver: createResolver({ hosts: { 'login.test': ['127.0.0.1'] } }) }),
  random: Math.random,
  name: 'crm',
  logins: store.logins,
})

say('ready')
process.stdin.once('data', () => void work())

async function work(): Promise<void> {
  let last = ''
  for (;;) {
    const said = await next()
    if (said !== last) say(said)
    last = said
    if (isOnce) break
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  await store.close()
  process.stdin.destroy()
}

async function next(): Promise<string> {
  try {
    return `token ${(await supply.obtain())?.secret.reveal()}`
  } catch (error) {
    return `failed ${String(error)}`
  }
}

/** At once: what is buffered dies with the process. */
function say(words: string): void {
  writeSync(1, `${words}\n`)
}
