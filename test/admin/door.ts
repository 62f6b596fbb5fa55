import { hash, randomBytes } from 'node:crypto'
import http from 'node:http'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { Registry } from 'prom-client'
import { expect, onTestFinished } from 'vitest'
import { AdminDoor } from '../../src/admin/admin-door.ts'
import { LoginLinks } from '../../src/admin/login-links.ts'
import { buildOperators } from '../../src/admin/operators.ts'
import type { AdminPorts } from '../../src/admin/ports.ts'
import { ROLES, type Role } from '../../src/admin/role.ts'
import type { Description } from '../../src/admin/route.ts'
import { routes } from '../../src/admin/routes.ts'
import { problem } from '../../src/admin/shapes.ts'
import { Tail } from '../../src/admin/tail.ts'
import type { Change } from '../../src/audit/change.ts'
import { buildIdentify } from '../../src/callers/registry.ts'
import { additionsOf } from '../../src/live.ts'
import { declaredIn } from '../../src/settings/declared.ts'
import { compilePolicy } from '../../src/settings/policy.ts'
import { settingsSchema } from '../../src/settings/schema.ts'
import { openStore } from '../../src/store/open.ts'
import { storeSettings } from '../../src/store/registry.ts'
import type { Store } from '../../src/store/store.ts'
import { systemClock } from '../../src/wire/system-clock.ts'
import { makeCallerTools } from '../support/caller-tools.ts'
import { privateDirectory, remove } from '../support/sallyport.ts'

/** What the settings of these tests declare. */
const SETTINGS = settingsSchema.parse({
  listeners: [{ kind: 'forward', listen: '127.0.0.1:0' }],
  allowlist: ['api.crm.test', 'old.test'],
  callers: { checkout: { kind: 'api-key', digest: `sha256:${'0'.repeat(64)}` } },
  connections: {
    crm: { hosts: ['api.crm.test'], credential: { kind: 'static', secret: { file: 'crm' } } },
    old: { hosts: ['old.test'], credential: { kind: 'none' }, disabled: true },
  },
  grants: [
    { caller: 'checkout', connection: 'crm', rules: [{ methods: ['GET'], paths: ['/v1/*'] }] },
    { group: 'west', connection: 'old', until: '2020-01-01T00:00:00Z' },
  ],
})

/** An answer of the admin door. */
export interface Answer {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly text: string
  /** The body as JSON, found to be what the route says. */
  // A test looks into whatever the schema of the route has let through.
  readonly json: Record<string, never>
}

interface Wish {
  /** `undefined`: shows nothing. */
  readonly as?: Role | undefined
  readonly body?: unknown
  readonly headers?: http.OutgoingHttpHeaders
}

/** An admin door on a free port, over a real store. */
export interface TestDoor {
  readonly address: string
  readonly ports: AdminPorts
  readonly store: Store
  readonly changes: readonly Change[]
  readonly keys: Readonly<Record<Role, string>>
  /** Asks, as an admin unless said otherwise, and judges the answer by the schema of the route. */
  ask(method: string, path: string, wish?: Wish): Promise<Answer>
  close(): Promise<void>
}

/** Opens one for one test, or until `close` where `isShared`. `over`: ports of the test's own. */
export async function openTestDoor({
  over = {},
  isShared = false,
}: {
  readonly over?: Partial<AdminPorts>
  readonly isShared?: boolean
} = {}): Promise<TestDoor> {
  const directory = privateDirectory()
  const tools = { ...makeCallerTools(), clock: systemClock }
  const store = await openStore(storeSettings.parse({ kind: 'sqlite', path: join(directory, 'store.db') }), {
    ...tools,
    directory,
  })
  const keys = Object.fromEntries(
    ROLES.map((role) => [role, randomBytes(32).toString('base64url')]),
  ) as TestDoor['keys']
  const operators = Object.fromEntries(
    ROLES.map((role) => {
      const digest = `sha256:${hash('sha256', keys[role])}`
      return [`${role}-1`, { role, proof: { kind: 'api-key' as const, digest } }]
    }),
  )
  const changes: Change[] = []
  const declared = declaredIn(SETTINGS)
  const ports: AdminPorts = {
    clock: systemClock,
    metrics: new Registry(),
    operators: buildOperators(operators, (proofs) => buildIdentify(proofs, tools)),
    isReady: () => true,
    declared: () => declared,
    supplies: () => new Map([['crm', { phase: 'held' }]]),
    desks: () => new Map(),
    links: new LoginLinks(systemClock),
    policy: () => compilePolicy(SETTINGS, additionsOf(store.holdings())),
    store,
    isAuditStored: true,
    change: (change) => changes.push(change),
    isAuditFull: () => false,
    tail: new Tail(),
    history: undefined,
    inventoryFacts: () => Promise.resolve({ connections: [], secrets: [] }),
    onFault: () => undefined,
    ...over,
  }
  const door = new AdminDoor(ports, {
    listen: '127.0.0.1:0',
    mode: '0600',
    directory,
    peers: undefined,
  })
  const address = await door.open()
  const close = async () => {
    await door.close()
    await store.close()
    remove(directory)
  }
  if (!isShared) onTestFinished(close)
  const ask: TestDoor['ask'] = (method, path, wish = {}) => {
    const role = 'as' in wish ? wish.as : 'admin'
    return askDoor(address, { method, path, key: role && keys[role], body: wish.body, headers: wish.headers ?? {} })
  }
  return { address, ports, store, changes, keys, ask, close }
}

interface Sent {
  readonly method: string
  readonly path: string
  readonly key: string | undefined
  readonly body?: unknown
  readonly headers?: http.OutgoingHttpHeaders
}

/** Asks an admin door, and judges the answer by the schema of the route. */
export async function askDoor(address: string, { method, path, key, body, headers = {} }: Sent): Promise<Answer> {
  const to = address.startsWith('unix:')
    ? { socketPath: address.slice(5) }
    : { host: '127.0.0.1', port: address.split(':')[1] }
  const bytes = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body)
  const all = {
    Host: 'localhost',
    ...(key !== undefined && { Authorization: `Bearer ${key}` }),
    ...(bytes !== undefined && { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(bytes) }),
    ...headers,
  }
  const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
    const request = http.request({ ...to, method, path, headers: all, agent: false }, resolve)
    request.on('error', reject).end(bytes)
  })
  const said = await text(response)
  const answer = { status: response.statusCode ?? 0, headers: response.headers, text: said }
  return { ...answer, json: judged(method, path, answer) }
}

/** Every answer below /v1 keeps its word, and is protected. */
function judged(method: string, path: string, { status, headers, text }: Omit<Answer, 'json'>): Answer['json'] {
  const type = headers['content-type'] ?? ''
  if (path.startsWith('/v1')) {
    expect(headers).toMatchObject({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' })
    expect(Object.keys(headers).filter((name) => name.startsWith('access-control-'))).toEqual([])
  }
  if (method === 'HEAD') return {}
  if (status >= 400) {
    expect(type).toBe('application/problem+json')
    return problem.parse(JSON.parse(text)) as unknown as Answer['json']
  }
  const route = routeOf(method, path)
  if (!route) return (type.startsWith('application/json') ? JSON.parse(text) : {}) as Answer['json']
  expect(status).toBe(route.status)
  if (typeof route.response === 'string') expect(type).toBe(route.response)
  if (route.response === undefined) expect(text).toBe('')
  return typeof route.response === 'object' ? (route.response.parse(JSON.parse(text)) as Answer['json']) : {}
}

function routeOf(method: string, path: string): Description | undefined {
  const [plain = ''] = path.split('?')
  const fits = ({ path: pattern }: Description) =>
    new RegExp(`^${pattern.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(plain)
  const found = routes.filter((route) => route.method === method && fits(route))
  return found.find((route) => route.path === plain) ?? found[0]
}
