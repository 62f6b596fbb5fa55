import { execFileSync } from 'node:child_process'
import { globSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { egressOf } from '../../src/egress/egress.ts'
import { nftRuleset } from '../../src/egress/nftables.ts'
import { loadSettings } from '../../src/settings/load.ts'
import { hasTool, pathOf } from '../support/debian.ts'
import { privateDirectory } from '../support/sallyport.ts'
import { settingsOf, WHOLE } from './settings.ts'

const USERS = { sallyport: '65532', apps: [], redirectTo: undefined }

async function rulesOf(text: string, users = {}): Promise<string> {
  const settings = await settingsOf(text)
  return nftRuleset(settings, egressOf(settings, { also: [] }), { ...USERS, ...users })
}

test('says of each port what it is for', async () => {
  const rules = await rulesOf(WHOLE)
  expect(rules).toContain(`    # api.crm.test:443: connection crm
    # login.crm.test:443: token endpoint of crm, issuer of files
`)
  expect(rules).toContain('    # pinned.test:443: connection pinned\n    ip daddr 10.20.0.7/32 tcp dport 443 accept\n')
})

test('sends nobody to a door that is not there', async () => {
  expect(await rulesOf(WHOLE)).not.toContain('redirect')
  expect(await rulesOf(WHOLE, { redirectTo: 15_002 })).toContain(
    'meta nfproto ipv6 tcp dport { 80, 443 } redirect to :15002',
  )
})

/** IPv4 and IPv6 are two doors: a packet goes to the loopback address of its own family. */
test.each([
  [['127.0.0.1:15002'], ['ipv4 15002']],
  [['[::1]:15002'], ['ipv6 15002']],
  [
    ['127.0.0.1:15002', '[::1]:15003'],
    ['ipv4 15002', 'ipv6 15003'],
  ],
  [['[::]:15002'], ['ipv4 15002', 'ipv6 15002']],
  [['0.0.0.0:15002'], ['ipv4 15002']],
  [['127.0.0.1:0'], []],
])('of transparent doors at %j come %j', async (listens, expected) => {
  const settings = await settingsOf(WHOLE)
  const listeners = listens.map((listen) => ({ kind: 'transparent', listen }))
  const rules = nftRuleset({ ...settings, listeners: listeners as never }, egressOf(settings, { also: [] }), USERS)
  const found = [...rules.matchAll(/nfproto (\w+) .* redirect to :(\d+)/g)].map(
    ([, family, port]) => `${family} ${port}`,
  )
  expect(found).toEqual(expected)
})

test('does not guess which of several doors is for whom', async () => {
  const settings = await settingsOf(WHOLE)
  const listeners = ['127.0.0.1:15002', '127.0.0.1:15003'].map((listen) => ({ kind: 'transparent', listen }))
  const several = { ...settings, listeners: listeners as never }
  const egress = egressOf(settings, { also: [] })
  expect(() => nftRuleset(several, egress, USERS)).toThrow('use --redirect-to PORT')
  expect(nftRuleset(several, egress, { ...USERS, redirectTo: 15_003 })).toContain('redirect to :15003')
})

test('says that the port of names is a way out where nobody has said which name servers there are', async () => {
  const settings = await settingsOf(WHOLE)
  const rules = (resolvers?: readonly { address: string; port: number }[], redirectTo?: number) =>
    nftRuleset(settings, egressOf(settings, { also: [], resolvers }), { ...USERS, redirectTo })
  expect(rules(undefined, 15_002)).toContain('# WARNING: port 53 is open to all of them, at any address')
  expect(rules(undefined)).not.toContain('WARNING')
  expect(rules([{ address: '10.0.0.2', port: 53 }], 15_002)).not.toContain('WARNING')
})

test('says what it does not hold', async () => {
  const rules = await rulesOf(WHOLE)
  for (const word of [
    'CAP_NET_RAW',
    'only forwarded',
    'QUIC',
    'ICMP',
    'the other side speaks',
    'Everybody is root, too',
  ])
    expect(rules).toMatch(new RegExp(`^# .*${word}`, 'm'))
  expect(await rulesOf(WHOLE, { apps: ['1000-1999', 'www-data'] })).not.toContain('root, too')
})

test('opens no port for names where every name is pinned', async () => {
  const pinned = `listeners: [ { kind: forward, listen: 127.0.0.1:15001 } ]
allowlist: [ a.test ]
dns: { hosts: { a.test: [ 44.0.0.2 ] } }
connections: { a: { hosts: [ a.test ], credential: { kind: none } } }`
  expect(await rulesOf(pinned)).not.toContain('dport 53')
})

test.skipIf(!hasTool('nft') || process.getuid?.() !== 0)(
  'nft takes the rules of every example that is shipped',
  async () => {
    const file = join(privateDirectory(), 'rules.nft')
    const examples = ['config/example.yaml', 'deploy/compose/sallyport.yaml', ...globSync('config/examples/*.yaml')]
    expect(examples.length).toBeGreaterThan(10)
    for (const example of examples) {
      const { settings } = await loadSettings(example)
      writeFileSync(file, nftRuleset(settings, egressOf(settings, { also: [] }), { ...USERS, redirectTo: 15_002 }))
      // In a network of its own: what is there already is nobody's business here.
      execFileSync('unshare', ['--net', pathOf('nft'), '--file', file], { encoding: 'utf8' })
    }
  },
  60_000,
)
