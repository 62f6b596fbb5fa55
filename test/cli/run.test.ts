import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { problems } from '../../src/core/problems.ts'
import { authority, CALLER_KEY, CREDENTIAL, startCrmForTest } from '../stories/crm.ts'
import { sendRaw } from '../support/raw-client.ts'
import { runCli, writeSecret } from '../support/sallyport.ts'
import { type RawUpstream, startUpstream } from '../support/upstream.ts'
import { environmentIn, environmentOf, fileOf, placeFor, runWith } from './running.ts'

let upstream: RawUpstream

beforeAll(async () => {
  upstream = await startUpstream(undefined, await authority.issue(['api.crm.test']))
})

afterAll(() => upstream.close())

const CURL = ['curl', '-sS', '--fail-with-body', '--max-time', '10', 'http://api.crm.test/v1/contacts']

function lastHead(): string {
  return upstream.heads().at(-1) ?? ''
}

test('a command asks through a sidecar of its own, without knowing of it, and the credential is put in', async () => {
  const place = placeFor(upstream.port)
  expect(await runWith(place, CURL)).toEqual({ code: 0, stdout: 'ok', stderr: '' })
  expect(lastHead()).toMatch(/^GET \/v1\/contacts HTTP\/1\.1\r\n/)
  expect(lastHead()).toContain(`Authorization: Bearer ${CREDENTIAL}\r\n`)
  expect(lastHead()).not.toMatch(/^proxy-/im)
})

test('https:// is no different: the command trusts the authority of its sidecar', async () => {
  const words = CURL.map((word) => word.replace('http://api.crm.test', `https://api.crm.test:${upstream.port}`))
  expect(await runWith(placeFor(upstream.port), words)).toEqual({ code: 0, stdout: 'ok', stderr: '' })
  expect(lastHead()).toContain(`Authorization: Bearer ${CREDENTIAL}\r\n`)
})

test('what was asked is on record when it ends', async () => {
  const place = placeFor(upstream.port)
  await runWith(place, CURL)
  const [start, entry, ...others] = readFileSync(fileOf(place, 'audit.jsonl'), 'utf8').trimEnd().split('\n')
  expect(others).toEqual([])
  expect(JSON.parse(start ?? '')).toMatchObject({ msg: 'start', seq: 1 })
  expect(JSON.parse(entry ?? '')).toMatchObject({ msg: 'ask', caller: 'checkout', connection: 'crm', status: 200 })
})

test('the environment leads to the sidecar with a key of this run', async () => {
  const place = placeFor(upstream.port)
  const env = await environmentIn(place, { NO_PROXY: '.corp.example', no_proxy: '10.0.0.0/8' })
  expect(env.get('HTTPS_PROXY')).toMatch(/^http:\/\/checkout:[\w-]{43}@127\.0\.0\.1:\d+$/)
  expect(env.get('http_proxy')).toBe(env.get('HTTPS_PROXY'))
  expect(env.get('no_proxy')).toBe('.corp.example,10.0.0.0/8,localhost,127.0.0.1,::1')
  expect(env.get('NODE_USE_ENV_PROXY')).toBe('1')
  const next = await environmentIn(place)
  expect(new URL(next.get('HTTPS_PROXY') ?? '').password).not.toBe(new URL(env.get('HTTPS_PROXY') ?? '').password)
})

test('the key is worth nothing once the command has ended', async () => {
  const { host, password } = new URL((await environmentIn(placeFor(upstream.port))).get('HTTP_PROXY') ?? '')
  const seen = upstream.heads().length
  const proof = Buffer.from(`checkout:${password}`).toString('base64')
  const request = `GET http://api.crm.test/ HTTP/1.1\r\nHost: api.crm.test\r\nProxy-Authorization: Basic ${proof}\r\n\r\n`
  // Nobody is there any more; its port may be somebody else's by now.
  expect((await sendRaw(host, request, { until: /\r\n\r\n/ })).status).not.toBe(200)
  const running = await startCrmForTest({ port: upstream.port })
  const { status } = await sendRaw(running.doors[0]?.address ?? '', request, { until: /\}\n$/ })
  expect(status).toBe(407)
  expect(upstream.heads()).toHaveLength(seen)
})

test('the key of the settings is no key to it', async () => {
  const proxy = `http://checkout:${CALLER_KEY}@\${http_proxy##*@}`
  const script = `curl -s -o /dev/null -w '%{http_code}' --proxy "${proxy}" http://api.crm.test/`
  expect((await runWith(placeFor(upstream.port), ['sh', '-c', script])).stdout).toBe('407')
})

test('what the settings take from the environment is not in that of the command', async () => {
  const place = placeFor(upstream.port, { credential: { kind: 'static', secret: { env: 'CRM_SECRET' } } })
  const script = `${CURL.join(' ')}; env | grep -c CRM_SECRET`
  const { stdout } = await runWith(place, ['sh', '-c', script], { CRM_SECRET: 'from-the-environment' })
  expect(stdout).toBe('ok0\n')
  expect(lastHead()).toContain('Authorization: Bearer from-the-environment\r\n')
})

test('a placeholder takes the place of what the tool would send', async () => {
  const place = placeFor(upstream.port, { placeholders: { GITHUB_TOKEN: 'held-by-sallyport' } })
  expect((await environmentIn(place, { GITHUB_TOKEN: 'a real one' })).get('GITHUB_TOKEN')).toBe('held-by-sallyport')
})

test('a host that NO_PROXY names goes past it, and that is said', async () => {
  const { stderr } = await runWith(placeFor(upstream.port), ['true'], { no_proxy: 'other.test,.crm.test' })
  expect(stderr).toBe('warning: api.crm.test goes past Sallyport: NO_PROXY names it\n')
})

test('what was refused is said when the command has ended: each host and code once, and where it is recorded', async () => {
  const place = placeFor(upstream.port)
  const script =
    'for host in elsewhere.test api.crm.test:81 elsewhere.test; do curl -s -o /dev/null http://$host/; done; echo done'
  const { code, stdout, stderr } = await runWith(place, ['sh', '-c', script])
  expect({ code, stdout }).toEqual({ code: 0, stdout: 'done\n' })
  expect(stderr.trimEnd().split('\n')).toEqual([
    `sallyport: refused 2 times: elsewhere.test, host-not-allowed: ${problems['host-not-allowed'].remedy}`,
    `sallyport: refused: api.crm.test, port-not-allowed: ${problems['port-not-allowed'].remedy}`,
    `sallyport: recorded in ${fileOf(place, 'audit.jsonl')}`,
  ])
  const words = ['run', '--config', place.config, '--quiet', '--', 'sh', '-c', script]
  expect(await runCli(words, { env: environmentOf(place) })).toEqual({ code: 0, stdout: 'done\n', stderr: '' })
})

test('a client that shows its key when it is asked for it was not refused', async () => {
  const options = '--proxy-anyauth -s -o /dev/null -w %{http_code}'.split(' ')
  const ran = await runWith(placeFor(upstream.port), ['curl', ...options, 'http://api.crm.test/v1/contacts'])
  expect(ran).toEqual({ code: 0, stdout: '200', stderr: '' })
})

test('an audit on standard output would be among what the command prints: it goes to a file of the user', async () => {
  const place = placeFor(upstream.port, {}, { audit: {} })
  const ran = await runWith(place, CURL, { XDG_STATE_HOME: place.directory })
  expect(ran).toMatchObject({ stdout: 'ok', stderr: '' })
  const file = join(place.directory, 'sallyport', 'audit.jsonl')
  expect(readFileSync(file, 'utf8')).toMatch(/^\{.*\}\n\{.*"connection":"crm".*\}\n$/)
  expect(statSync(file).mode & 0o077).toBe(0)
})

test('--audit names another file, besides those of the settings', async () => {
  const place = placeFor(upstream.port)
  const file = join(place.directory, 'mine.jsonl')
  const words = ['run', '--config', place.config, '--audit', file, '--', ...CURL]
  await runCli(words, { env: environmentOf(place) })
  expect(readFileSync(file, 'utf8')).toBe(readFileSync(fileOf(place, 'audit.jsonl'), 'utf8'))
})

test('a place for the audit that cannot be made is said, and nothing is run', async () => {
  const place = placeFor(upstream.port, {}, { audit: {} })
  const { code, stderr } = await runWith(place, ['true'], { XDG_STATE_HOME: place.config })
  expect({ code, stderr }).toEqual({
    code: 2,
    stderr: expect.stringMatching(/ cannot be made for the audit \(ENOTDIR\): use --audit FILE\n$/),
  })
})

test.each([
  [['sh', '-c', 'exit 0'], 0, ''],
  [['sh', '-c', 'exit 7'], 7, ''],
  [['sh', '-c', 'kill -KILL $$'], 137, ''],
  [['sh', '-c', 'kill -TERM $$'], 143, ''],
  [['/nonexistent/command'], 127, '/nonexistent/command cannot be found\n'],
  [['/etc/passwd'], 126, '/etc/passwd cannot be run (EACCES)\n'],
])('the exit code is that of the command: %s', async (command, code, stderr) => {
  const place = placeFor(upstream.port)
  expect(await runWith(place, command)).toEqual({ code, stdout: '', stderr })
  expect(place.left()).toEqual([])
})

test('an environment that the kernel does not take is said to be the reason', async () => {
  const place = placeFor(upstream.port)
  // 100 kB are taken; with `*.` before each name once more, as Java needs them, they are not.
  const names = Array.from({ length: 10_000 }, (_, index) => `h${index}.test`).join()
  const { code, stderr } = await runWith(place, ['true'], { NO_PROXY: names })
  expect({ code, stderr }).toEqual({ code: 126, stderr: 'true cannot be run (E2BIG)\n' })
  expect(place.left()).toEqual([])
})

test('arguments reach the command as they are, its own options among them', async () => {
  const place = placeFor(upstream.port)
  const words = ['printf', '%s|', '--config', '--', '-v', '', 'a b', '$HOME']
  expect((await runWith(place, words)).stdout).toBe('--config|--|-v||a b|$HOME|')
  const { stdout } = await runCli(['run', '--config', place.config, ...words], { env: environmentOf(place) })
  expect(stdout).toBe('--config|--|-v||a b|$HOME|')
})

test('nobody can read the key off the list of processes', async () => {
  const script = `tr '\\0' ' ' < /proc/$PPID/cmdline; tr '\\0' ' ' < /proc/$$/cmdline; echo; echo $HTTP_PROXY`
  const { stdout } = await runWith(placeFor(upstream.port), ['sh', '-c', script])
  const [lines = '', proxy = ''] = stdout.split('\n')
  expect(lines).toContain('cli.ts run --config')
  expect(lines).not.toContain(new URL(proxy).password)
})

test('a sidecar that runs already is used, and nothing is opened', async () => {
  const running = await startCrmForTest({ port: upstream.port })
  const place = placeFor(upstream.port)
  const keyFile = writeSecret(place.directory, 'key', `${CALLER_KEY}\n`)
  const proxy = `http://checkout@${running.doors[0]?.address}`
  const options = ['--proxy', proxy, '--key-file', keyFile]
  const env = environmentOf(place)
  expect(await runCli(['run', ...options, '--', ...CURL], { env })).toEqual({ code: 0, stdout: 'ok', stderr: '' })
  expect(await running.audit(1)).toMatchObject([{ caller: 'checkout', connection: 'crm', status: 200 }])
  const { stdout } = await runCli(['run', ...options, '--', 'sh', '-c', 'echo "$http_proxy $SSL_CERT_FILE"'], { env })
  expect(stdout).toBe(`${proxy.replace('@', `:${CALLER_KEY}@`)} \n`)
})

test('with its authority, the command trusts that', async () => {
  const place = placeFor(upstream.port)
  writeSecret(place.directory, 'key', CALLER_KEY)
  const options = ['--proxy', 'http://checkout@127.0.0.1:1', '--key-file', fileOf(place, 'key')]
  const command = ['sh', '-c', 'cat "$SSL_CERT_FILE"']
  const env = environmentOf(place)
  const { stdout } = await runCli(['run', ...options, '--ca', fileOf(place, 'ca.pem'), '--', ...command], { env })
  expect(stdout).toContain(authority.certPem.trim())
  expect(place.left()).toEqual([])
})

test.each<[string, string[], RegExp]>([
  ['without settings or a sidecar', [], /^use --config FILE, or --proxy http:\/\/NAME@HOST:PORT and --key-file FILE$/m],
  ['with both', ['--config', 'x', '--proxy', 'http://a@127.0.0.1:1'], /^use --config FILE, or --proxy/],
  ['with a key on the command line', ['--proxy', 'http://a:b@127.0.0.1:1', '--key-file', 'x'], /^use --proxy http/],
  ['without a name', ['--proxy', 'http://127.0.0.1:1', '--key-file', 'x'], /^use --proxy http/],
  ['without the key', ['--proxy', 'http://a@127.0.0.1:1', '--key-file', '/nonexistent'], /cannot be read \(ENOENT\)/],
  ['with settings that are not there', ['--config', '/nonexistent'], /does not exist: use the path of a settings file/],
])('%s nothing is started, and the exit code is 2', async (_, options, words) => {
  const { code, stdout, stderr } = await runCli(['run', ...options, '--', 'echo', 'started'])
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  expect(stderr).toMatch(words)
})

test('the settings may be those that every verb takes from the environment, and a proxy that is named goes first', async () => {
  const place = placeFor(upstream.port)
  const env = { ...environmentOf(place), SALLYPORT_CONFIG: place.config }
  expect(await runCli(['run', '--', ...CURL], { env })).toEqual({ code: 0, stdout: 'ok', stderr: '' })
  const named = await runCli(['run', '--proxy', 'http://a@127.0.0.1:1', '--', 'true'], { env })
  expect(named.stderr).toMatch(/^use --config FILE, or --proxy/)
})

test('of several callers one is to be named', async () => {
  const place = placeFor(upstream.port)
  const settings = JSON.parse(readFileSync(place.config, 'utf8'))
  settings.callers.other = { kind: 'unix-peer', uid: 4242 }
  writeFileSync(place.config, JSON.stringify(settings))
  expect(await runWith(place, ['true'])).toMatchObject({
    code: 2,
    stderr: 'use --caller with one of checkout, other\n',
  })
  const { stdout } = await runCli(
    ['run', '--config', place.config, '--caller', 'other', '--', 'sh', '-c', 'echo $HTTP_PROXY'],
    { env: environmentOf(place) },
  )
  expect(stdout).toMatch(/^http:\/\/other:/)
})

test('where the environment would print what it holds, it does not start', async () => {
  const { code, stderr } = await runWith(placeFor(upstream.port), ['true'], { NODE_DEBUG: 'http' })
  expect(code).toBe(2)
  expect(stderr).toContain('unset NODE_DEBUG')
})

test('a place for temporary files that is not there is said, and nothing is run', async () => {
  const place = placeFor(upstream.port, {}, { ca: 'ephemeral' })
  const missing = join(place.temporary, 'missing')
  const { code, stdout, stderr } = await runWith(place, ['echo', 'ran'], { TMPDIR: missing })
  expect(code).toBe(2)
  expect(stdout).toBe('')
  expect(stderr).toBe(`${missing} cannot be used (ENOENT): set TMPDIR to a directory that can be written to\n`)
})
