import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parse } from 'yaml'
import { makeAuthority } from '../support/certificates.ts'
import { sendRaw } from '../support/raw-client.ts'
import {
  eventually,
  privateDirectory,
  type Running,
  remove,
  startSallyport,
  writeSecret,
} from '../support/sallyport.ts'
import { OK, type RawUpstream, startUpstream } from '../support/upstream.ts'

/** The guides for operators, each followed to the letter, against a sidecar that runs and has been asked before. */
const root = new URL('../..', import.meta.url).pathname
const etc = privateDirectory()
const keys = { checkout: randomBytes(16).toString('hex'), reporting: '' }
let upstream: RawUpstream
let sallyport: Running

beforeAll(async () => {
  const authority = await makeAuthority()
  upstream = await startUpstream(() => OK, await authority.issue(['api.crm.test', 'api.billing.test', 'other.test']))
  mkdirSync(join(etc, 'secrets'), { mode: 0o700 })
  writeSecret(etc, 'ca.pem', authority.certPem)
  for (const name of ['secrets/crm', 'seal', 'billing.new', 'audit.key'])
    writeSecret(etc, name, randomBytes(32).toString('hex'))
  writeSecret(etc, 'checkout', keys.checkout)
  const reached = { port: upstream.port, allowPrivate: ['127.0.0.0/8'], tls: { ca: { file: 'ca.pem' } } }
  const settings = {
    listeners: [{ kind: 'forward', listen: '127.0.0.1:0' }],
    admin: { listen: 'unix:admin.sock' },
    store: { kind: 'sqlite', path: 'state/store.db', key: { file: 'seal' } },
    audit: { fingerprintKey: { file: 'audit.key' }, sinks: [{ kind: 'store' }] },
    allowlist: ['api.crm.test', 'api.billing.test'],
    callers: { checkout: { kind: 'api-key', key: { file: 'checkout' } } },
    connections: {
      crm: { hosts: ['api.crm.test'], ...reached, credential: { kind: 'static', secret: { file: 'secrets/crm' } } },
      billing: {
        hosts: ['api.billing.test'],
        ...reached,
        credential: { kind: 'static', secret: { store: 'billing' } },
      },
    },
    grants: [
      { caller: 'checkout', connection: 'crm' },
      { caller: 'checkout', connection: 'billing' },
    ],
    dns: { hosts: { 'api.crm.test': ['127.0.0.1'], 'api.billing.test': ['127.0.0.1'] } },
  }
  writeFileSync(join(etc, 'sallyport.yaml'), JSON.stringify(settings))
  expect(follow('head -c 16 /dev/urandom | base64 | sallyport secret set billing --offline')).toMatchObject({
    status: 0,
  })
  sallyport = await startSallyport(etc, settings)
  keys.reporting = follow('sallyport caller add reporting').stdout.trim()
  follow('sallyport grant crm --to reporting')
  expect([await ask('checkout'), await ask('reporting'), await ask('checkout', 'other.test')]).toEqual([200, 200, 403])
})

afterAll(async () => {
  await sallyport?.stop()
  await upstream?.close()
  remove(etc)
})

function guide(name: string): string {
  return readFileSync(join(root, 'deploy/runbooks', `${name}.md`), 'utf8')
}

function blocksOf(text: string, language = 'sh'): readonly string[] {
  return [...text.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].flatMap(([, of, block = '']) =>
    of === language ? [block] : [],
  )
}

/** As whoever follows the page has it, on a machine where /etc/sallyport is `etc`. */
function follow(script: string, input = '') {
  const here = script.replaceAll('/etc/sallyport', etc)
  const PATH = `${root}deploy:/usr/local/bin:/usr/bin:/bin`
  const env = { PATH, HOME: etc, SALLYPORT_CONFIG: join(etc, 'sallyport.yaml') }
  return spawnSync('bash', ['--norc', '-eo', 'pipefail', '-c', here], { cwd: etc, encoding: 'utf8', env, input })
}

async function ask(caller: keyof typeof keys, host = 'api.crm.test'): Promise<number> {
  const proof = Buffer.from(`${caller}:${keys[caller]}`).toString('base64')
  const request = `GET http://${host}/v1 HTTP/1.1\r\nHost: ${host}\r\nProxy-Authorization: Basic ${proof}\r\nConnection: close\r\n\r\n`
  return (await sendRaw(sallyport.doors[0]?.address ?? '', request)).status
}

test('rotate-a-secret.md: the upstream sees the next secret, and the old key of a caller is refused', {
  timeout: 240_000,
}, async () => {
  const next = randomBytes(16).toString('hex')
  const ran = follow(blocksOf(guide('rotate-a-secret')).join('\n'), next)
  expect([ran.status, ran.stderr]).toEqual([0, expect.stringContaining('shown this once')])
  expect(ran.stdout).toMatch(/file:secrets\/crm@[0-9a-f]{8}/)
  expect(ran.stdout).toMatch(/^billing@2 /m)
  expect(await ask('reporting')).toBe(407)
  keys.reporting = readFileSync(join(etc, 'reporting.key'), 'utf8').trim()
  expect(await ask('reporting')).toBe(200)
  await eventually(async () => {
    await ask('checkout')
    // Not the last one: the connections stand in the order in which they were opened.
    return upstream.heads().some((head) => head.includes(`Bearer ${next}`)) || undefined
  }, 'the next secret upstream')
  expect(await ask('checkout', 'api.billing.test')).toBe(200)
})

test('credential-leaked.md: stopped, every request that spent it is listed, and it goes on', {
  timeout: 240_000,
}, async () => {
  const [stop = '', stopCaller = '', radius = '', report = '', goOn = ''] = blocksOf(guide('credential-leaked'))
  expect(follow(stop).stdout).toContain('crm is off for everybody')
  expect(await ask('checkout')).toBe(403)
  expect(follow(stopCaller).status).toBe(0)
  expect(await ask('reporting')).toBe(407)
  keys.reporting = readFileSync(join(etc, 'reporting.key'), 'utf8').trim()
  const seen = follow(radius)
  expect([seen.status, seen.stderr]).toEqual([0, expect.stringMatching(/^\d+ requests? by \d callers?$/m)])
  expect(seen.stdout).toMatch(/^\s+\d+ "secret": "file:secrets\/crm@[0-9a-f]{8}"$/m)
  expect(seen.stdout).toMatch(/checkout/)
  const told = follow(report)
  expect([told.status, told.stderr]).toEqual([0, ''])
  expect(readFileSync(join(etc, 'incident.jsonl'), 'utf8')).toContain('"caller":"reporting"')
  expect(follow(goOn).stdout).toMatch(/crm is on/)
  expect([await ask('checkout'), await ask('reporting')]).toEqual([200, 200])
})

test('from-static-keys.md: its settings are right, and its commands answer', { timeout: 240_000 }, () => {
  const [settings = ''] = blocksOf(guide('from-static-keys'), 'yaml')
  expect(parse(settings)).toMatchObject({ allowlist: { mode: 'report' } })
  writeFileSync(join(etc, 'report.yaml'), settings)
  const [check = '', missed = '', suggest = '', replay = ''] = blocksOf(guide('from-static-keys'))
  expect(follow(check)).toMatchObject({ status: 0, stdout: expect.stringContaining('report.yaml is right') })
  expect(follow(check).stderr).not.toContain('refused')
  // Most apps ask for https://, and nothing of theirs is to be refused yet.
  const url = 'https://api.crm.example.com'
  const why = `sallyport why --config report.yaml --caller checkout --method CONNECT ${url}`
  expect(follow(why)).toMatchObject({ status: 0, stdout: expect.stringMatching(/^permit/) })
  expect(follow(missed)).toMatchObject({ status: 0 })
  expect(follow(suggest)).toMatchObject({ status: 0, stdout: expect.stringContaining('api.crm.test') })
  const replayed = follow(replay)
  expect([replayed.status, replayed.stderr]).toEqual([0, expect.anything()])
  expect(replayed.stdout).not.toBe('')
})

test('upgrade-and-rollback.md: the new version reads the settings, a backup is one, and all is well after', {
  timeout: 240_000,
}, () => {
  const [before = '', backup = '', after = ''] = blocksOf(guide('upgrade-and-rollback'))
  expect(follow(before)).toMatchObject({ status: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n.* is right: /) })
  expect(follow(backup)).toMatchObject({ status: 0, stderr: '' })
  const copied = follow('sqlite3 /etc/sallyport/store.backup "select count(*) from grants"')
  expect(copied.stdout).toBe('1\n')
  expect(follow(after)).toMatchObject({ status: 0, stdout: expect.stringMatching(/^intact: /m) })
})

test.each(['rotate-a-secret', 'credential-leaked', 'from-static-keys', 'upgrade-and-rollback'])(
  'every block of %s is run by one of those',
  (name) => {
    const expected = { 'rotate-a-secret': 6, 'credential-leaked': 5, 'from-static-keys': 4, 'upgrade-and-rollback': 3 }
    expect(blocksOf(guide(name))).toHaveLength(Object.entries(expected).find(([one]) => one === name)?.[1] ?? 0)
  },
)

test('the policies of deploy/README.md are exported as it says', () => {
  const [script = ''] = blocksOf(readFileSync(join(root, 'deploy/README.md'), 'utf8'))
  const { status, stdout } = follow(`cd ${root}\n${script}`)
  expect(status).toBe(0)
  for (const part of ['kind: NetworkPolicy', 'kind: CiliumNetworkPolicy', 'table inet sallyport'])
    expect(stdout).toContain(part)
})
