import { spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { CLI } from '../cli/running.ts'
import { makeAuthority } from '../support/certificates.ts'
import { sendRaw } from '../support/raw-client.ts'
import {
  eventually,
  privateDirectory,
  type Running,
  remove,
  runCli,
  startSallyport,
  wholeLinesOf,
  writeSecret,
} from '../support/sallyport.ts'
import { OK, type RawUpstream, startUpstream } from '../support/upstream.ts'

/** The verbs of an operator, against a sidecar that runs. */
let sallyport: Running
let upstream: RawUpstream
let config: string
const directory = privateDirectory()
const credential = randomBytes(24).toString('hex')

beforeAll(async () => {
  const authority = await makeAuthority()
  upstream = await startUpstream(() => OK, await authority.issue(['api.crm.test']))
  writeSecret(directory, 'ca.pem', authority.certPem)
  writeSecret(directory, 'crm.secret', credential)
  writeSecret(directory, 'sealing.key', randomBytes(32).toString('hex'))
  config = join(directory, 'sallyport.yaml')
  sallyport = await startSallyport(directory, {
    listeners: [{ kind: 'forward', listen: '127.0.0.1:0' }],
    admin: { listen: 'unix:admin.sock' },
    store: { kind: 'sqlite', path: 'state/sallyport.db', key: { file: 'sealing.key' } },
    audit: { sinks: [{ kind: 'json-lines', path: 'audit.jsonl' }, { kind: 'store' }] },
    allowlist: ['api.crm.test'],
    connections: {
      crm: {
        hosts: ['api.crm.test'],
        port: upstream.port,
        allowPrivate: ['127.0.0.0/8'],
        tls: { ca: { file: 'ca.pem' } },
        credential: { kind: 'static', secret: { file: 'crm.secret' } },
      },
    },
    grants: [{ group: 'auditors', connection: 'crm' }],
    dns: { hosts: { 'api.crm.test': ['127.0.0.1'] } },
  })
})

afterAll(async () => {
  await sallyport?.stop()
  await upstream?.close()
  remove(directory)
})

function sp(...args: readonly string[]) {
  return runCli([...args, '--config', config])
}

/** The same with something on standard input. */
async function piped(input: string, ...args: readonly string[]) {
  const [program = '', ...flags] = CLI
  const child = spawn(program, [...flags, ...args, '--config', config], { stdio: ['pipe', 'pipe', 'pipe'] })
  child.stdin.end(input)
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
  return { stdout, stderr }
}

async function statusOf(name: string, key: string, method = 'GET', path = '/v1/things'): Promise<number | undefined> {
  const proof = Buffer.from(`${name}:${key}`).toString('base64')
  const address = sallyport.doors[0]?.address ?? ''
  const request = `${method} http://api.crm.test${path} HTTP/1.1\r\nHost: api.crm.test\r\nProxy-Authorization: Basic ${proof}\r\nConnection: close\r\n\r\n`
  return (await sendRaw(address, request)).status
}

test('a caller is added, granted, used, revoked: each with the very next request', async () => {
  const added = await sp('caller', 'add', 'checkout')
  expect(added.stderr).toContain('shown this once')
  const key = added.stdout.trim()
  expect(key).toMatch(/^sp_[\w-]{43}$/)
  expect(await statusOf('checkout', key)).toBe(403)

  const granted = await sp(
    'grant',
    'crm',
    '--to',
    'checkout',
    '--methods',
    'get,head',
    '--paths',
    '/v1/*',
    '--until',
    '30d',
  )
  expect(granted.stdout).toMatch(/^checkout may use crm \(GET,HEAD \/v1\/\*\), until \d{4}-.*: \S+\n$/)
  expect(await statusOf('checkout', key)).toBe(200)
  expect(await statusOf('checkout', key, 'PUT')).toBe(403)

  const live = await sp('why', '--live', '--caller', 'checkout', 'http://api.crm.test/v1/things')
  expect(live.stdout).toMatch(/^permit: grant \S+, rule 0 lets checkout use crm\n$/)
  const refused = await sp('why', '--live', '--caller', 'checkout', '--method', 'PUT', 'http://api.crm.test/v1/things')
  expect([refused.code, refused.stdout]).toEqual([1, expect.stringContaining('(rule-not-matched)')])

  const listed = await sp('grants', '--caller', 'checkout', '--json')
  expect(JSON.parse(listed.stdout)).toMatchObject([{ caller: 'checkout', connection: 'crm', source: 'stored' }])

  const revoked = await sp('revoke', 'crm', '--from', 'checkout')
  expect(revoked.code).toBe(0)
  expect(revoked.stdout).toMatch(/^revoked: checkout may use crm/)
  expect(await statusOf('checkout', key)).toBe(403)

  expect((await sp('caller', 'remove', 'checkout')).stdout).toContain('removed: checkout')
  expect(await statusOf('checkout', key)).toBe(407)
})

test('another key: the one before it is good for as long as was said', async () => {
  const first = (await sp('caller', 'add', 'mobile')).stdout.trim()
  await sp('grant', 'crm', '--to', 'mobile')
  const second = (await sp('caller', 'rotate-key', 'mobile', '--overlap', '1h')).stdout.trim()
  expect([await statusOf('mobile', first), await statusOf('mobile', second)]).toEqual([200, 200])
  const third = (await sp('caller', 'rotate-key', 'mobile')).stdout.trim()
  expect([await statusOf('mobile', second), await statusOf('mobile', third)]).toEqual([407, 200])
})

test('a connection that is switched off refuses everybody, until it is on again', async () => {
  const key = (await sp('caller', 'add', 'batch')).stdout.trim()
  await sp('grant', 'crm', '--to', 'batch')
  await sp('connection', 'disable', 'crm', '--reason', 'the key leaked')
  expect(await statusOf('batch', key)).toBe(403)
  expect((await sp('connection', 'show', 'crm')).stdout).toMatch(/switched off +uid-\d+, .*, the key leaked/)
  await sp('connection', 'enable', 'crm')
  expect(await statusOf('batch', key)).toBe(200)
})

test('what stands in the settings cannot be revoked here, and that is said', async () => {
  const { code, stderr } = await sp('revoke', 'crm', '--from', 'group:auditors')
  expect(code).toBe(1)
  expect(stderr).toContain('grants[0]')
})

test('a wrong grant is refused with everything that is wrong, each with its remedy', async () => {
  const { code, stderr, stdout } = await sp('grant', 'nope', '--to', 'nobody', '--paths', 'v1', '--until', '2020-01-01')
  expect([code, stdout]).toEqual([1, ''])
  expect(stderr).toContain('rules/0/paths/0: use "/v1": a path starts with "/"')
})

test('a secret comes from standard input alone, and is never shown', async () => {
  const value = randomBytes(16).toString('hex')
  expect((await piped(`${value}\n`, 'secret', 'set', 'billing')).stdout).toBe('billing@1\n')
  expect((await piped(value, 'secret', 'rotate', 'billing')).stdout).toBe('billing@2\n')
  expect((await piped('', 'secret', 'set', 'billing')).stderr).toContain('standard input is empty')
  expect((await piped(value, 'secret', 'rotate', 'unknown')).stderr).toContain('there is no secret unknown to rotate')
  expect((await piped(value, 'secret', 'set', 'brief')).stdout).toBe('brief@1\n')
  expect((await sp('secret', 'remove', 'brief')).stdout).toBe('removed: brief\n')
  expect((await sp('secret', 'remove', 'brief')).stderr).toContain('(not-found)')
  const listed = await sp('secret', 'list')
  expect(listed.stdout).not.toContain('brief')
  expect(listed.stdout).toContain('billing@2')
  expect(listed.stdout + sallyport.output() + readFileSync(join(directory, 'audit.jsonl'), 'latin1')).not.toContain(
    value,
  )
})

test('the audit is searched, followed, exported and verified', async () => {
  const key = (await sp('caller', 'add', 'watched')).stdout.trim()
  await sp('grant', 'crm', '--to', 'watched')
  const [program = '', ...flags] = CLI
  const tail = spawn(program, [...flags, 'audit', 'tail', '--caller', 'watched', '--config', config])
  let seen = ''
  tail.stdout.setEncoding('utf8').on('data', (chunk: string) => (seen += chunk))
  await eventually(async () => {
    await statusOf('watched', key, 'GET', '/v1/followed')
    return seen.includes('/v1/followed') || undefined
  }, 'the tail to show a request')
  tail.kill('SIGINT')

  const look = async () => {
    const found = JSON.parse((await sp('audit', 'search', '--caller', 'watched', '--json')).stdout)
    return found.find((one: { path?: string }) => one.path === '/v1/followed')
  }
  const entry = await eventually(look, 'the request in the store')
  const radius = await sp('audit', 'blast-radius', '--fingerprint', entry.credential.fingerprint)
  expect(radius.stdout).toContain('/v1/followed')

  const exported = await sp('audit', 'export', '--since', '1h')
  expect(
    exported.stdout
      .split('\n')
      .filter(Boolean)
      .every((line) => JSON.parse(line).hash.length > 0),
  ).toBe(true)
  const file = join(directory, 'audit.jsonl')
  expect((await runCli(['audit', 'verify', file])).stdout).toMatch(/^intact: /)
  expect((await sp('audit', 'verify')).stdout).toMatch(/^intact: /)
  const altered = join(directory, 'altered.jsonl')
  writeFileSync(altered, readFileSync(file, 'utf8').replace('"/v1/followed"', '"/v1/innocent"'))
  const verified = await runCli(['audit', 'verify', altered])
  expect(verified.code).toBe(1)
  expect(verified.stdout).toMatch(/^not intact: line \d+, instance .*altered/)
})

test('a part of the audit is told from a damaged one, and one that begins late from one that is whole', async () => {
  const lines = wholeLinesOf(join(directory, 'audit.jsonl'))
  const verified = async (some: readonly string[], ...options: readonly string[]) => {
    const [program = '', ...flags] = CLI
    const child = spawn(program, [...flags, 'audit', 'verify', '-', ...options])
    child.stdin.end(some.map((line) => `${line}\n`).join(''))
    const [said, code] = await Promise.all([text(child.stdout), new Promise((done) => child.once('close', done))])
    return [code, said]
  }
  const late = /^intact: .*\nbegins at entry 4 of run \S+ \(instance \S+\): what was written before is not here/
  expect(await verified(lines)).toEqual([0, expect.stringMatching(/^intact: .*\n$/)])
  expect(await verified(lines, '--from-start')).toEqual([0, expect.stringMatching(/^intact: .*\n$/)])
  expect(await verified(lines.slice(3))).toEqual([0, expect.stringMatching(late)])
  expect(await verified(lines.slice(3), '--from-start')).toEqual([1, expect.stringMatching(late)])
  const exported = (await sp('audit', 'export', '--since', '1h', '--kind', 'ask')).stdout.split('\n').filter(Boolean)
  expect(await verified(exported)).toEqual([1, expect.stringMatching(/^partial: .*\n.* use --partial /)])
  expect(await verified(exported, '--partial')).toEqual([0, expect.stringMatching(/^partial: .*\n.*nobody can tell/)])
  const altered = exported.with(1, exported[1]?.replace('api.crm.test', 'api.crm.tesT') ?? '')
  expect(await verified(altered, '--partial')).toEqual([1, expect.stringMatching(/^not intact: /)])
})

test('what an app was refused with is found by its instance', async () => {
  const key = (await sp('caller', 'add', 'refused')).stdout.trim()
  const proof = Buffer.from(`refused:${key}`).toString('base64')
  const request = `GET http://api.crm.test/v1/refused HTTP/1.1\r\nHost: api.crm.test\r\nProxy-Authorization: Basic ${proof}\r\nConnection: close\r\n\r\n`
  const { text: answer } = await sendRaw(sallyport.doors[0]?.address ?? '', request)
  const { instance } = JSON.parse(answer.split('\r\n\r\n')[1] ?? '')
  const look = async () => JSON.parse((await sp('audit', 'search', '--id', instance, '--json')).stdout)[0]
  const entry = await eventually(look, 'the refusal in the store')
  expect(`urn:uuid:${entry.id}`).toBe(instance)
  expect(entry).toMatchObject({ path: '/v1/refused', code: 'grant-missing' })
})

test('what report mode let through is searched for by the code that it would have had', async () => {
  expect((await sp('audit', 'search', '--would-refuse', 'rule-not-matched')).stdout).toBe('no records\n')
  const { code, stderr } = await sp('audit', 'search', '--would-refuse', 'Rule')
  expect([code, stderr]).toEqual([1, expect.stringContaining('wouldRefuse: use the code of a problem')])
})

test('what a caller asked as part of a trace is searched for by that', async () => {
  const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
  const parent = `traceparent: 00-${traceId}-00f067aa0ba902b7-01\r\n`
  const request = `GET http://api.crm.test/v1/traced HTTP/1.1\r\nHost: api.crm.test\r\n${parent}Connection: close\r\n\r\n`
  await sendRaw(sallyport.doors[0]?.address ?? '', request)
  const look = async () => JSON.parse((await sp('audit', 'search', '--trace', traceId, '--json')).stdout)[0]
  expect(await eventually(look, 'the ask in the store')).toMatchObject({ path: '/v1/traced', traceId })
  expect((await sp('audit', 'search', '--trace', traceId.replace('4', '5'))).stdout).toBe('no records\n')
})

test('a row that is filed under another name is reported, though the chain is whole', async () => {
  const { verified } = await withRow('host', 'elsewhere.example.com')
  expect(verified.code).toBe(1)
  expect(verified.stdout).toMatch(/^intact: .*\nnot as filed: searches do not find 1 lines .* run \S+, entry \d+\n$/)
  expect((await sp('audit', 'verify')).code).toBe(0)
})

/** Verifies while one row of the store has another value in a column, and sets the row right again. */
async function withRow(column: string, value: string) {
  const database = new DatabaseSync(join(directory, 'state/sallyport.db'))
  try {
    database.exec('pragma busy_timeout = 5000')
    const row = database.prepare(`select rowid, ${column} as was from audit where kind = 'ask' limit 1`).get()
    const put = database.prepare(`update audit set ${column} = ? where rowid = ?`)
    put.run(value, row?.['rowid'] ?? null)
    const verified = await sp('audit', 'verify')
    put.run(row?.['was'] ?? null, row?.['rowid'] ?? null)
    return { verified }
  } finally {
    database.close()
  }
}

test('a grant is revoked by its id alone', async () => {
  const key = (await sp('caller', 'add', 'brief')).stdout.trim()
  const granted = await sp('grant', 'crm', '--to', 'brief')
  const id = granted.stdout.trim().split(' ').at(-1) ?? ''
  expect(await statusOf('brief', key)).toBe(200)
  expect((await sp('revoke', '--id', id)).stdout).toBe(`revoked: ${id}\n`)
  expect(await statusOf('brief', key)).toBe(403)
})

test('the secret that a sidecar needs to start is set without one', async () => {
  const other = join(directory, 'offline.yaml')
  const settings = readFileSync(config, 'utf8')
  writeFileSync(other, settings.replace('"file": "crm.secret"', '"store": "offline"'))
  expect(readFileSync(other, 'utf8')).not.toBe(settings)
  const value = randomBytes(16).toString('hex')
  const [program = '', ...flags] = CLI
  const set = ['secret', 'set', 'offline', '--offline', '--config', other]
  const child = spawnSync(program, [...flags, ...set], { input: value, encoding: 'utf8' })
  expect([child.status, child.stderr, child.stdout]).toEqual([0, '', 'offline@1\n'])
  expect((await sp('secret', 'list')).stdout).toContain('offline@1')
})

test('the inventory says who holds what, and whether it was used', async () => {
  const { items, secrets } = JSON.parse((await sp('inventory', '--json')).stdout)
  expect(items).toContainEqual(expect.objectContaining({ group: 'auditors', count: 0, isUnused: expect.any(Boolean) }))
  expect(secrets).toMatchObject([{ name: 'file:crm.secret', connections: ['crm'], isStatic: true, isOld: false }])
})

test('a shell completes live names', async () => {
  const { stdout } = await runCli(['complete', '--', 'grant', ''], { env: { SALLYPORT_CONFIG: config } })
  expect(stdout).toContain('crm')
  const holders = await runCli(['complete', '--', 'grant', 'crm', '--to', ''], { env: { SALLYPORT_CONFIG: config } })
  expect(holders.stdout).toContain('mobile')
})

test('a shell runs nothing of what is typed while it completes', async () => {
  const { stdout: script } = await runCli(['complete', 'bash'])
  const trace = join(directory, 'run-by-completion')
  const typed = `COMP_WORDS=(sallyport grant '$(touch ${trace})' gr); COMP_CWORD=3; _sallyport`
  const shell = spawnSync('bash', [
    '-ec',
    `${script}\nsallyport() { printf 'grants\\twhat there is\\n:4\\n'; }\n${typed}\necho "$COMPREPLY"`,
  ])
  expect([shell.stdout.toString(), shell.stderr.toString()]).toEqual(['grants\n', ''])
  expect(existsSync(trace)).toBe(false)
})

test('where no sidecar answers, that is said, and it is exit 2', async () => {
  const { code, stderr } = await runCli(['grants', '--admin', 'http://127.0.0.1:9'])
  expect(code).toBe(2)
  expect(stderr).toContain('nobody answers at http://127.0.0.1:9 (ECONNREFUSED): is the sidecar running?')
  expect((await runCli(['grants'])).stderr).toContain('use --config FILE, or --admin')
})

test('health and metrics tell how it stands with the store, and so does the doctor', async () => {
  const { stdout } = await runCli(['doctor', '--config', config, '--json'])
  const { findings } = JSON.parse(stdout)
  expect(findings).toContainEqual(expect.objectContaining({ check: 'sidecar', subject: 'store', state: 'ok' }))
  const socket = sallyport.admin?.replace('unix:', '') ?? ''
  const asked = spawnSync('curl', [
    '-sS',
    '--unix-socket',
    socket,
    'http://localhost/readyz',
    'http://localhost/metrics',
  ])
  const text = asked.stdout.toString()
  expect(JSON.parse(text.slice(0, text.indexOf('# ')))).toMatchObject({ status: 'ok', store: { phase: 'confirmed' } })
  expect(Number(/^sallyport_store_unconfirmed_seconds ([\d.]+)$/m.exec(text)?.[1])).toBeLessThan(5)
})
