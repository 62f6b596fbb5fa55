import { createSecureContext, type SecureContext } from 'node:tls'
import { expect, test } from 'vitest'
import { authorityOf } from '../../src/ca/authority.ts'
import { foundRoot } from '../../src/ca/root.ts'
import { type Identity, issuerOf, newKeys, privatePem, sign } from '../../src/ca/x509.ts'
import { hasTool } from '../support/debian.ts'
import { caOf, present, type Target, type Verifier, verifiers } from './verifiers.ts'

const HOSTS = ['api.test', '*.files.test', '10.0.0.7', '[::1]']
const LABEL = 'l'.repeat(63)
const GOOD = ['api.test', 'a.deep.files.test', `${LABEL}.${LABEL}.files.test`, '10.0.0.7', '::1']
const WITH_UNDERSCORE = ['a_b.files.test', '_a.files.test']
const CONSTRAINED = [['a name', ['api.test']] as const, ['an address', ['10.0.0.7']] as const, ['nothing', []] as const]
const FOREIGN = ['evil.test', 'notapi.test', '10.0.0.8', '::2']

const JAVA = 'Java'
const PATIENCE = { timeout: 240_000 }

for (const { name, tools, verify } of verifiers) {
  const testWith = test.skipIf(!tools.every(hasTool))

  testWith(`${name} accepts our certificates: names, the longest ones, addresses`, PATIENCE, async () => {
    // Java takes no name with an underscore, whoever vouches for it [OpenJDK 17].
    const good = name === JAVA ? GOOD : [...GOOD, ...WITH_UNDERSCORE]
    expect(await answersTo(verify, good, await foundRoot(terms(HOSTS)), ours)).toEqual(good.map(() => 'ok'))
  })

  // Java does not read the constraints of an anchor of trust [OpenJDK 17]; RFC 5280 section 6.2 leaves that open.
  const rows = name === JAVA ? [] : CONSTRAINED
  testWith.each(rows)(
    `T12: ${name} refuses what a thief signs with the key of an authority made for %s`,
    PATIENCE,
    async (_, hosts) => {
      const answers = await answersTo(verify, FOREIGN, await foundRoot(terms(hosts)), stolen)
      expect(answers).toEqual(FOREIGN.map(() => expect.stringMatching(/^refused: .*(subtree|constraint)/s)))
    },
  )
}

type Presenting = (root: Identity, host: string) => Promise<SecureContext>

async function answersTo(verify: Verifier['verify'], names: readonly string[], root: Identity, by: Presenting) {
  const targets: Target[] = []
  for (const host of names) targets.push({ host, port: await present(await by(root, host)) })
  return verify(targets, caOf(root.cert))
}

async function ours(root: Identity, host: string): Promise<SecureContext> {
  return (await authorityOf(root, terms(HOSTS))).contextFor(host)
}

/** A certificate that our code would not make, from a key that somebody took. */
async function stolen(root: Identity, host: string): Promise<SecureContext> {
  const keys = await newKeys()
  const validity = { from: Date.now() - 60_000, until: Date.now() + 3_600_000 }
  const cert = await sign({ keys, ...validity, use: { hosts: [host] } }, await issuerOf(root))
  return createSecureContext({ key: await privatePem(keys), cert })
}

function terms(hosts: readonly string[]) {
  return { hosts, now: Date.now }
}
