import { decide, type Permit } from '../../src/core/decide.ts'
import type { Refusal } from '../../src/core/refusal.ts'
import type { Waiver } from '../../src/core/waiver.ts'
import { compilePolicy } from '../../src/settings/policy.ts'
import { type Settings, settingsSchema } from '../../src/settings/schema.ts'

/**
 * What a decision costs with 10 000 grants and 1 000 callers, each in 10 groups: to callers and groups, with rules. Each
 * decision is timed by itself, so the time of the clock is in it.
 */
const GRANTS = 10_000
const CALLERS = 1_000
const GROUPS = 200
const CONNECTIONS = 50
const DECISIONS = 200_000

const settings = settingsOf()
const compiled = performance.now()
const policy = compilePolicy(settings)
const compileMs = performance.now() - compiled

const callers = Array.from({ length: CALLERS }, (_, at) => ({
  name: `caller-${at}`,
  method: 'jwt',
  groups: Array.from({ length: 10 }, (_group, nth) => `group-${(at * 7 + nth * 13) % GROUPS}`),
}))
const PATHS = [
  '/v1/contacts/17',
  '/v1/reports/2026/11/22',
  '/v1/files/a.pdf',
  '/v2/unknown/7',
  '/v1/contacts/17/notes/3',
]
const METHODS = ['GET', 'POST', 'DELETE']

const times = new Float64Array(DECISIONS)
let permits = 0
for (let warm = 0; warm < 50_000; warm++) ask(warm)
for (let nth = 0; nth < DECISIONS; nth++) {
  const before = performance.now()
  const decision = ask(nth)
  times[nth] = (performance.now() - before) * 1000
  if (decision.permitted) permits++
}
times.sort()
const at = (share: number) => (times[Math.floor(DECISIONS * share)] ?? 0).toFixed(2)
process.stdout.write(
  `${GRANTS} grants, ${CALLERS} callers with 10 groups: compiled in ${compileMs.toFixed(0)} ms; ` +
    `${DECISIONS} decisions, ${Math.round((permits / DECISIONS) * 100)} % permits: ` +
    `p50 ${at(0.5)} µs, p99 ${at(0.99)} µs, p99.9 ${at(0.999)} µs\n`,
)

function ask(nth: number): Permit | Waiver | Refusal {
  const caller = callers[(nth * 31) % CALLERS] ?? { name: '', method: '' }
  const host = `api-${(nth * 17) % CONNECTIONS}.test`
  const [method = '', path = ''] = [METHODS[nth % METHODS.length], PATHS[nth % PATHS.length]]
  return decide({ caller, target: { kind: 'name', host, port: undefined }, method, path, at: 0 }, policy)
}

function settingsOf(): Settings {
  const connections = Array.from({ length: CONNECTIONS }, (_, nth) => [
    `connection-${nth}`,
    { hosts: [`api-${nth}.test`], credential: { kind: 'none' } },
  ])
  const grants = Array.from({ length: GRANTS }, (_, nth) => ({
    ...(nth % 2 === 0 ? { caller: `caller-${(nth / 2) % CALLERS}` } : { group: `group-${((nth - 1) / 2) % GROUPS}` }),
    // Two hundred grants for each connection, spread over all holders.
    connection: `connection-${(nth * 11 + Math.floor(nth / CALLERS)) % CONNECTIONS}`,
    rules: [
      { methods: ['GET'], paths: ['/v1/contacts/*', '/v1/contacts/*/notes/*'] },
      { methods: ['GET', 'POST'], paths: ['/v1/reports/**', `/v1/of/${nth}/**`] },
      { methods: ['GET'], paths: ['/v1/files/*.pdf'] },
    ],
  }))
  return settingsSchema.parse({
    listeners: [{ kind: 'forward', listen: '127.0.0.1:0' }],
    allowlist: ['*.test'],
    connections: Object.fromEntries(connections),
    grants,
  })
}
