import { writeSync } from 'node:fs'
import { Secret, sha256 } from '../../src/core/secret.ts'
import { openStore } from '../../src/store/open.ts'
import { storeSettings } from '../../src/store/registry.ts'
import { systemClock } from '../../src/wire/system-clock.ts'

/**
 * A program that changes a store until somebody kills it, and says on standard output what it is about to do, and what
 * was acknowledged: `+ NAME`, `+! NAME`, `- NAME`, `-! NAME`, each in a line of its own, one after the other.
 */
const [directory = '', settings = '', run = '', url = ''] = process.argv.slice(2)
const store = await openStore(storeSettings.parse(JSON.parse(settings)), {
  references: {
    secret: () => ({ current: () => ({ secret: new Secret(url), version: 1 }) }),
    file: () => '',
  },
  clock: systemClock,
  directory,
  onFault: (message) => say(`fault ${message}`),
})

for (let index = 0; ; index++) {
  const name = `${run}-${index}`
  say(`+ ${name}`)
  await store.addCaller({ name, createdBy: 'writer' }, { digest: sha256(name).toString('hex'), expiresAt: undefined })
  await store.addGrant({ holder: { caller: name }, connection: 'crm', rules: [], until: undefined, createdBy: 'w' })
  say(`+! ${name}`)
  if (index % 3 !== 0) continue
  say(`- ${name}`)
  await store.removeCaller(name)
  say(`-! ${name}`)
}

/** At once: what is buffered dies with the process. */
function say(words: string): void {
  writeSync(1, `${words}\n`)
}
