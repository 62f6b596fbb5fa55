import type { Settings } from '../settings/schema.ts'
import { publicRanges } from '../wire/public-ranges.ts'
import type { Egress } from './egress.ts'
import { blocksOf, inWords, type Need, widest } from './need.ts'
import { appsOf, redirectOf, type Users } from './redirect.ts'
import type { Resolver } from './resolver.ts'
import { unpinnedOf, warningsOf } from './words.ts'

/** A ruleset for one network namespace: of a host, or of a pod. Loading it twice is loading it once. */
export function nftRuleset(settings: Settings, egress: Egress, users: Users): string {
  const redirect = redirectOf(settings, users)
  const lines = [
    '#!/usr/sbin/nft -f',
    ...heading(users, egress, redirect.length > 0),
    'table inet sallyport',
    'delete table inet sallyport',
    '',
    'table inet sallyport {',
    ...indent([
      ...sets(),
      ...chain('output', [
        'type filter hook output priority filter; policy ' + (users.apps.length === 0 ? 'drop;' : 'accept;'),
        `meta skuid ${users.sallyport} goto sallyport`,
        `meta skuid ${appsOf(users)} goto apps`,
        ...(users.apps.length === 0 ? KERNEL : []),
      ]),
      ...chain('apps', [
        '# the doors, and whatever else is on this machine',
        'fib daddr type local accept',
        '# answers to whoever has come in',
        'ct direction reply accept',
        ...(redirect.length > 0 ? ['# names, for what then is redirected', ...dns(egress.resolvers)] : []),
        'counter reject with icmpx admin-prohibited',
      ]),
      ...chain('sallyport', sallyportRules(egress)),
      ...(redirect.length === 0
        ? []
        : chain('to_door', [
            // -100 is "dstnat", a word that nft 1.0.6 does not take for this hook.
            'type nat hook output priority -100; policy accept;',
            '# Sallyport itself goes on: no loop',
            `meta skuid ${users.sallyport} accept`,
            'fib daddr type local accept',
            ...redirect.map((rule) => `meta skuid ${appsOf(users)} ${rule}`),
          ])),
    ]),
    '}',
  ]
  return `${lines.join('\n')}\n`
}

function heading(users: Users, egress: Egress, isRedirected: boolean): readonly string[] {
  const who = users.apps.length === 0 ? `everybody but user ${users.sallyport}` : `users ${users.apps.join(', ')}`
  return [
    `Packets of ${who} stay on this machine; those of user ${users.sallyport} go where its settings lead.`,
    'Load it with: nft -f FILE, before the apps start: of what is open already, a connection in which the other side speaks next goes on.',
    `Twice is once. Take it away with: nft delete table inet sallyport${isRedirected ? '; then redirected connections break' : ''}.`,
    'It holds for whoever can neither become another user, nor write frames, nor change the rules: no CAP_SETUID, no CAP_NET_RAW, no CAP_NET_ADMIN, so no root.',
    `Refused at once: UDP${isRedirected ? ' but names' : ''} (so QUIC, and clients fall back to TCP), ICMP, and other ports.`,
    'Not touched: what is only forwarded, as of containers and virtual machines with a network of their own. Load it inside of each.',
    ...(users.apps.length === 0 ? [ROOT_TOO] : []),
    'What is on this machine and asks on behalf of others (a DNS stub, another proxy) is a way out: hold it back as well.',
    ...(isRedirected && !egress.resolvers ? [ANY_RESOLVER] : []),
    ...warningsOf(egress),
    ...unpinnedOf(egress),
  ].map((line) => `# ${line.replace(/[^ -~]/g, '?')}`)
}

const ROOT_TOO =
  'Everybody is root, too: on a host, its time, its updates, the renewal of its address. There, name the users of the apps by --app-user.'

const ANY_RESOLVER =
  'WARNING: port 53 is open to all of them, at any address: a way out for whatever speaks there. Name the name servers by --dns ADDRESS.'

function sets(): readonly string[] {
  const { ipv4, ipv6 } = publicRanges()
  const set = (name: string, type: string, elements: readonly string[]) => [
    `set ${name} {`,
    ...indent([`type ${type}`, 'flags interval', `elements = { ${elements.join(', ')} }`]),
    '}',
    '',
  ]
  return [
    '# what Sallyport dials only where its settings say so',
    ...set(
      'closed4',
      'ipv4_addr',
      ipv4.flatMap(({ except }) => except),
    ),
    ...set(
      'closed6',
      'ipv6_addr',
      ipv6.flatMap(({ except }) => except),
    ),
    ...set(
      'public6',
      'ipv6_addr',
      ipv6.map(({ cidr }) => cidr),
    ),
  ]
}

/** Packets without a socket are the kernel's: the last ones of closed sockets, and how neighbours are found. */
const KERNEL: readonly string[] = [
  '# no socket, so no user: the kernel itself',
  'ct state established,related accept',
  'icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit, mld-listener-report, mld2-listener-report } accept',
]

function sallyportRules({ needs, resolvers, asksDns }: Egress): readonly string[] {
  const open = needs.filter((need) => blocksOf(need).open.length > 0)
  const [unchecked, checked] = [open.filter(isUnchecked), open.filter((need) => !isUnchecked(need))]
  return [
    'fib daddr type local accept',
    'ct direction reply accept',
    ...(asksDns || needs.some(({ isOfToday }) => isOfToday) ? ['# names', ...dns(resolvers)] : []),
    ...needs.flatMap(namedRules),
    ...byPort(unchecked),
    'ip daddr @closed4 counter reject with icmpx admin-prohibited',
    'ip6 daddr @closed6 counter reject with icmpx admin-prohibited',
    'ip6 daddr != @public6 counter reject with icmpx admin-prohibited',
    ...byPort(checked),
    'counter reject with icmpx admin-prohibited',
  ]
}

function isUnchecked({ allowPrivate }: Need): boolean {
  return allowPrivate === 'any'
}

function namedRules(need: Need): readonly string[] {
  const { named } = blocksOf(need)
  if (named.length === 0) return []
  const rules = widest(named).map((range) => `${family(range)} daddr ${range} tcp dport ${need.port} accept`)
  return [remark(need), ...rules]
}

function byPort(needs: readonly Need[]): readonly string[] {
  const groups = [...Map.groupBy(needs, ({ port }) => port)].toSorted(([one], [other]) => one - other)
  return groups.flatMap(([port, all]) => [...all.map(remark), `tcp dport ${port} accept`])
}

function remark(need: Need): string {
  return `# ${inWords(need)}`.replace(/[^ -~]/g, '?')
}

function dns(resolvers: readonly Resolver[] | undefined): readonly string[] {
  if (!resolvers)
    return [
      '# any name server: name those that there are by --dns ADDRESS',
      'meta l4proto { tcp, udp } th dport 53 accept',
    ]
  return resolvers.map(
    ({ address, port }) => `${family(address)} daddr ${address} meta l4proto { tcp, udp } th dport ${port} accept`,
  )
}

function family(address: string): 'ip' | 'ip6' {
  return address.includes(':') ? 'ip6' : 'ip'
}

function chain(name: string, rules: readonly string[]): readonly string[] {
  return [`chain ${name} {`, ...indent(rules), '}', '']
}

function indent(lines: readonly string[]): readonly string[] {
  return lines.map((line) => (line === '' ? '' : `  ${line}`))
}
