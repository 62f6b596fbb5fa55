import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { problems } from '../../src/core/problems.ts'
import { remove, runCli, writeSecret } from '../support/sallyport.ts'
import { crmDirectory, crmSettings } from './crm.ts'

const directory = crmDirectory()
const GRANT = { caller: 'checkout', connection: 'crm', rules: [{ methods: ['GET'], paths: ['/v1/contacts/*'] }] }
const right = settingsFile('right.yaml', crmSettings({ port: 443, settings: { grants: [GRANT] } }))

afterAll(() => remove(directory))

function settingsFile(name: string, settings: object | string): string {
  return writeSecret(directory, name, typeof settings === 'string' ? settings : JSON.stringify(settings))
}

const WRONG = `listeners:
  - { kind: forward, listen: 0.0.0.0:15001 }
  - { kind: sideways, listen: 127.0.0.1:0 }
allowlist: [ "API.crm.test" ]
callers:
  checkout: { kind: api-key, key: { file: checkout }, secret: s3cret-in-the-file }
connections:
  crm:
    hosts: [ api.crm.test ]
    ports: 443
    credential: { kind: static, secret: { file: credential } }
`

const WRONG_PLACES = ['2:30', '3:13', '4:14', '6:55', '10:5']

test.each(['check', 'serve'])(
  '%s tells everything that is wrong at once, each with its place and the form to use, and ends with 2',
  async (verb) => {
    const file = settingsFile('wrong.yaml', WRONG)
    const { code, stdout, stderr } = await runCli([verb, '--config', file])
    expect(code).toBe(2)
    expect(stdout).toBe('')
    const lines = stderr.trimEnd().split('\n')
    expect(lines.map((line) => line.slice(file.length + 1).split(' ')[0])).toEqual(WRONG_PLACES)
    for (const line of lines) expect(line.startsWith(`${file}:`)).toBe(true)
    expect(stderr).toContain(`${file}:2:30 listeners[0].listen: use a loopback address such as "127.0.0.1:15001"`)
    expect(stderr).not.toContain('s3cret')
  },
)

test.each(['check', 'serve'])('%s tells every file and variable that cannot be read, and ends with 2', async (verb) => {
  const settings = `listeners: [ { kind: forward, listen: 127.0.0.1:0 } ]
allowlist: [ api.crm.test ]
callers:
  checkout: { kind: api-key, key: { env: SALLYPORT_TEST_UNSET } }
connections:
  crm:
    hosts: [ api.crm.test ]
    tls: { ca: { file: nothing.pem } }
    credential: { kind: static, secret: { file: missing } }
`
  const file = settingsFile('missing.yaml', settings)
  const { code, stdout, stderr } = await runCli([verb, '--config', file])
  expect(code).toBe(2)
  expect(stdout).toBe('')
  expect(stderr).toMatch(/missing\.yaml:4:\d+ callers\.checkout\.key: .*SALLYPORT_TEST_UNSET/)
  expect(stderr).toMatch(
    /missing\.yaml:8:\d+ connections\.crm\.tls\.ca: .*nothing\.pem cannot be read \(ENOENT\): use the path of a PEM file/,
  )
  expect(stderr).toMatch(/missing\.yaml:9:\d+ connections\.crm\.credential\.secret: .*missing/)
})

test.each(['check', 'serve'])('%s of a file that is not there ends with 2', async (verb) => {
  const { code, stderr } = await runCli([verb, '--config', join(directory, 'none.yaml')])
  expect(code).toBe(2)
  expect(stderr).toBe(`${join(directory, 'none.yaml')}:1:1 does not exist: use the path of a settings file\n`)
})

test('check says that all is right, in numbers, which settings these are, and ends with 0', async () => {
  const digest = createHash('sha256').update(readFileSync(right)).digest('hex')
  const { code, stdout, stderr } = await runCli(['check', '--config', right])
  expect({ code, stdout, stderr }).toEqual({
    code: 0,
    stderr: '',
    stdout: `${right} is right: 2 listeners, 1 caller, 1 connection, 1 grant\nsettings digest: ${digest}\n`,
  })
})

test('check warns of what is hardly meant, and ends with 0', async () => {
  const grants = [{ caller: 'checkout', connection: 'crm', until: '2020-01-01T00:00:00Z' }]
  const file = settingsFile('past.yaml', crmSettings({ port: 443, settings: { grants, allowlist: [] } }))
  const { code, stderr } = await runCli(['check', '--config', file])
  expect(code).toBe(0)
  expect(stderr).toMatch(
    /^warning: .*past\.yaml:1:\d+ connections\.crm\.hosts\[0\]: is not on the allowlist, so it is refused$/m,
  )
  expect(stderr).toMatch(
    /^warning: .*past\.yaml:1:\d+ grants\[0\]\.until: has passed, so this grant lets nobody through$/m,
  )
})

test.each([
  ['short', 'fifteen-letters', 'has fewer than 16 characters: use one that nobody can guess'],
  ['of two lines', 'sixteen-letters-\r\nand-more\r\n', 'has a carriage return or another control character in it'],
  ['good', 'sixteen-letters-\r\n', ''],
])('check warns of a key of a caller that is hardly meant: %s', async (name, key, words) => {
  writeSecret(directory, `${name} key`, key)
  const callers = { checkout: { kind: 'api-key', key: { file: `${name} key` } } }
  const file = settingsFile(`${name}.yaml`, crmSettings({ port: 443, settings: { callers } }))
  const { code, stderr } = await runCli(['check', '--config', file])
  expect(code).toBe(0)
  expect(stderr).toMatch(words === '' ? /^$/ : new RegExp(`^warning: .*:1:\\d+ callers\\.checkout\\.key: ${words}`))
  expect(stderr).not.toContain('letters')
})

test('check reads a relative path from where it is called, and what is in it from the file', async () => {
  const { code } = await runCli(['check', '--config', 'right.yaml'], { cwd: directory })
  expect(code).toBe(0)
})

function why(args: readonly string[]) {
  return runCli(['why', '--config', right, ...args])
}

test('why says who lets it through, and ends with 0', async () => {
  const { code, stdout, stderr } = await why(['--caller', 'checkout', 'http://api.crm.test/v1/contacts/7?q=1'])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(stdout).toBe('permit: grant grants[0], rule 0 lets checkout use crm\n')
})

test.each([
  [
    'rule-not-matched',
    ['--method', 'POST', 'http://api.crm.test/v1/contacts/7'],
    'no rule of grant grants[0] lets POST through to this path',
  ],
  [
    'rule-not-matched',
    ['http://api.crm.test/v1/contacts/7/notes'],
    'no rule of grant grants[0] lets GET through to this path',
  ],
  ['host-not-allowed', ['https://evil.test/'], 'evil.test is not on the allowlist'],
  [
    'port-not-allowed',
    ['http://api.crm.test:8443/v1/contacts/7'],
    "port 8443 of api.crm.test is not the connection's port, 443",
  ],
] as const)('why says why not, %s, what to do, and ends with 1', async (problem, args, reason) => {
  const { code, stdout, stderr } = await why(['--caller', 'checkout', ...args])
  expect({ code, stderr }).toEqual({ code: 1, stderr: '' })
  expect(stdout).toBe(`refuse: ${reason} (${problem})\n${problems[problem].remedy}\n`)
})

test('why --json says it to programs', async () => {
  const permit = await why(['--json', '--caller', 'checkout', 'http://api.crm.test/v1/contacts/7'])
  expect(JSON.parse(permit.stdout)).toEqual({
    decision: 'permit',
    reason: 'grant grants[0], rule 0 lets checkout use crm',
    connection: 'crm',
    grant: 'grants[0]',
  })
  const refusal = await why(['--json', '--caller', 'checkout', 'http://evil.test/'])
  expect(refusal.code).toBe(1)
  expect(JSON.parse(refusal.stdout)).toEqual({
    decision: 'refuse',
    reason: 'evil.test is not on the allowlist',
    code: 'host-not-allowed',
    remedy: problems['host-not-allowed'].remedy,
  })
})

test('why says where a running sidecar may know more, and where scopes cap what was asked without them', async () => {
  const job = { kind: 'jwt', issuer: 'https://issuer.test', audience: 'a', jwks: { file: 'j' }, claims: { sub: '*' } }
  const config = settingsFile(
    'stored.yaml',
    crmSettings({
      port: 443,
      settings: {
        store: { kind: 'sqlite', path: 'store.db' },
        callers: {
          job: { ...job, scopes: { read: { methods: ['GET'] } } },
          other: { kind: 'api-key', key: { file: 'checkout' } },
        },
        grants: [{ caller: 'job', connection: 'crm' }],
      },
    }),
  )
  const told = (...args: readonly string[]) =>
    runCli(['why', '--config', config, '--caller', ...args, '--method', 'PUT', 'http://api.crm.test/v1'])
  const LIVE = /^this is what the settings file says: --live asks .*\n$/
  const uncapped = await told('job')
  expect([uncapped.code, uncapped.stdout]).toEqual([0, expect.stringMatching(/^permit: /)])
  expect(uncapped.stderr).toMatch(/^the scopes of its token cap what job may do, .* --scope\n$/)
  expect(JSON.parse((await told('job', '--json')).stdout)).toMatchObject({ decision: 'permit', lacksScopes: true })
  const capped = await told('job', '--scope', 'read')
  expect(capped.stdout).toMatch(/\(scope-insufficient\)/)
  expect(capped.stderr).toBe('')
  expect((await told('other')).stderr).toMatch(LIVE)
  expect((await told('other', '--json')).stderr).toBe('')
  expect((await told('stored')).stderr).toBe(
    'stored is no caller: use one of job, other; or --live, which asks the running sidecar for those in its store\n',
  )
})

test.each([
  ['an unknown caller', ['--caller', 'nobody', 'http://api.crm.test/'], 'nobody is no caller: use one of checkout'],
  [
    'a name that every object has',
    ['--caller', 'constructor', 'http://api.crm.test/'],
    'constructor is no caller: use one of checkout',
  ],
  ['no URL', ['--caller', 'checkout', 'api.crm.test'], 'use a URL such as http://api.crm.example.com/v1/contacts'],
  [
    'a URL with a user',
    ['--caller', 'checkout', 'http://a@api.crm.test/'],
    'use a URL such as http://api.crm.example.com/v1/contacts',
  ],
])('why of %s ends with 2', async (_what, args, told) => {
  const { code, stdout, stderr } = await why(args)
  expect({ code, stdout, stderr }).toEqual({ code: 2, stdout: '', stderr: `${told}\n` })
})

test.each([
  [[], 'Usage: sallyport'],
  [['fly'], "error: unknown command 'fly'"],
  [['serve'], "error: required option '--config <file>' not specified"],
  [['check', '--config', 'a.yaml', '--loud'], "error: unknown option '--loud'"],
  [['why', '--config', 'a.yaml', 'http://a.test/'], "error: required option '--caller <name>' not specified"],
])('the arguments %j are told to be wrong, with the usage, and end with 2', async (args, told) => {
  const { code, stdout, stderr } = await runCli(args)
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  expect(stderr).toContain(told)
  expect(stderr).toContain('Usage: sallyport')
})

test('--help names every verb, and ends with 0', async () => {
  const { code, stdout } = await runCli(['--help'])
  expect(code).toBe(0)
  for (const verb of ['serve', 'check', 'why']) expect(stdout).toMatch(new RegExp(`^  ${verb} `, 'm'))
})

test('what check finds right, serve can start with: a resolver that is no address is found by both', async () => {
  const file = settingsFile('dns.yaml', crmSettings({ port: 443, settings: { dns: { servers: ['not an address'] } } }))
  const [checked, served] = await Promise.all([
    runCli(['check', '--config', file]),
    runCli(['serve', '--config', file]),
  ])
  expect(served.code).toBe(2)
  expect(checked.code).toBe(2)
})
