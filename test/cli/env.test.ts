import { execFileSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { runCli, writeSecret } from '../support/sallyport.ts'
import { settingsFile } from '../support/settings-file.ts'
import { emptyDirectory } from './doctoring.ts'

const SETTINGS = `
listeners:
  - { kind: forward, listen: unix:proxy.sock }
  - { kind: forward, listen: 127.0.0.1:0 }
  - { kind: forward, listen: 127.0.0.1:15001, caller: anybody }
  - { kind: forward, listen: 127.0.0.1:15002 }
allowlist: [ api.git.test ]
callers:
  checkout: { kind: api-key, key: { file: not-read } }
  anybody: { kind: socket, unsafeAnyLocalProcess: true }
  reporting: { kind: unix-peer, uid: 1004 }
connections:
  git:
    hosts: [ api.git.test ]
    credential: { kind: static, secret: { file: not-read } }
    placeholders: { GITHUB_TOKEN: "it's-$HELD" }
grants: [ { caller: checkout, connection: git } ]
`

async function env(text: string, args: readonly string[], more: NodeJS.ProcessEnv = {}) {
  const config = await settingsFile(text)
  return { config, ...(await runCli(['env', '--config', config, ...args], { env: more })) }
}

test('a shell gets the first door with a port, the proof of the caller, and what the user has already', async () => {
  const more = { NO_PROXY: `odd'one,$(exit 1)`, JAVA_TOOL_OPTIONS: '-Xmx1g' }
  const { code, stdout, stderr } = await env(SETTINGS, ['--caller', 'checkout'], more)
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  const script = 'eval "$1"; printf "%s\\n" "$HTTPS_PROXY" "$GITHUB_TOKEN" "$NO_PROXY" "$JAVA_TOOL_OPTIONS"'
  const lines = execFileSync('sh', ['-c', script, 'sh', stdout], { env: { SALLYPORT_KEY: 'k' }, encoding: 'utf8' })
  const [proxy, placeholder, noProxy, java] = lines.split('\n')
  expect(proxy).toBe('http://checkout:k@127.0.0.1:15001')
  expect(placeholder).toBe("it's-$HELD")
  expect(noProxy).toBe(`odd'one,$(exit,1),localhost,127.0.0.1,::1`)
  expect(java).toMatch(/^-Xmx1g -Dhttp\.proxyHost=/)
})

test('JSON, by either option, has nothing but the variables on standard output', async () => {
  for (const option of [['--json'], ['--format', 'json']]) {
    const { stdout, stderr } = await env(SETTINGS, ['--caller', 'checkout', ...option])
    expect(JSON.parse(stdout).http_proxy).toBe('http://checkout:${SALLYPORT_KEY}@127.0.0.1:15001')
    expect(stderr).toMatch(
      /^put in the place of \$\{SALLYPORT_KEY\}: the key of checkout; .*\nJava .*\nno CA variables: nothing is intercepted/,
    )
  }
})

test('Kubernetes gets nothing of this machine', async () => {
  const more = { NO_PROXY: 'here.test', JAVA_TOOL_OPTIONS: '-Xmx1g' }
  const { stdout } = await env(SETTINGS, ['--caller', 'checkout', '--format', 'kubernetes'], more)
  const rows: { name: string; value?: string }[] = parse(stdout).env
  const values = new Map(rows.map(({ name, value }) => [name, value]))
  expect(rows[0]?.name).toBe('SALLYPORT_KEY')
  expect(values.get('HTTP_PROXY')).toBe('http://checkout:$(SALLYPORT_KEY)@127.0.0.1:15001')
  expect(values.get('NO_PROXY')).toBe('.svc,.cluster.local,kubernetes.default.svc,localhost,127.0.0.1,::1')
  expect(values.get('JAVA_TOOL_OPTIONS')).toMatch(/^-Dhttp\.proxyHost=/)
})

test('a caller that the door knows needs no key', async () => {
  const { stdout, stderr } = await env(SETTINGS, ['--caller', 'anybody', '--json'])
  expect(JSON.parse(stdout).HTTP_PROXY).toBe('http://127.0.0.1:15001')
  expect(stderr).not.toContain('SALLYPORT_KEY')
})

test.each([
  ['', undefined, /^# no CA variables: nothing is intercepted/m],
  ['ca: ephemeral', undefined, /^# no CA variables: an ephemeral authority is another one at each start/m],
  ['ca: { directory: authority }', 'authority/bundle.pem', /^(?![^]*no CA variables)/],
  ['ca: { directory: authority, bundle: public/apps.pem }', 'public/apps.pem', /^(?![^]*no CA variables)/],
  ['ca: { directory: authority, bundle: /run/s/apps.pem }', '/run/s/apps.pem', /^(?![^]*no CA variables)/],
])('with %j apps are told to trust %s', async (ca, file, words) => {
  const { config, stdout } = await env(`${SETTINGS}${ca}\n`, ['--caller', 'checkout'])
  const absolute = file?.startsWith('/') ? file : file && join(dirname(config), file)
  expect(/^export SSL_CERT_FILE='(.*)'$/m.exec(stdout)?.[1]).toBe(absolute)
  expect(stdout).toMatch(words)
})

const INTERCEPTING = `${SETTINGS}ca: { directory: authority }\n`

test('wget, apt and Java are given the files that lie beside the bundle', async () => {
  const { config, stdout } = await env(INTERCEPTING, ['--caller', 'checkout'], { HOME: '/nonexistent' })
  const beside = join(dirname(config), 'authority')
  expect(stdout).toContain(`export WGETRC='${beside}/bundle.wgetrc'\n`)
  expect(stdout).toContain(`export APT_CONFIG='${beside}/bundle.apt.conf'\n`)
  expect(stdout).toContain(`-Djavax.net.ssl.trustStore=${beside}/bundle.jks -Djavax.net.ssl.trustStoreType=JKS`)
})

test('files of the user stay in use: what to add to them is said', async () => {
  const home = emptyDirectory()
  const own = writeSecret(home, '.wgetrc', 'tries = 3\n')
  const more = { HOME: home, APT_CONFIG: '/etc/apt/mine' }
  const { config, stdout } = await env(INTERCEPTING, ['--caller', 'checkout'], more)
  expect(stdout).not.toMatch(/^export (?:WGETRC|APT_CONFIG)=/m)
  const bundle = join(dirname(config), 'authority/bundle.pem')
  expect(stdout).toContain(`# wget reads ${own}: echo 'ca_certificate = ${bundle}' >> ${own}\n`)
  expect(stdout).toContain(`# apt reads /etc/apt/mine: echo 'Acquire::https::CaInfo "${bundle}";' >> /etc/apt/mine\n`)
  const ours = { HOME: '/nonexistent', WGETRC: `${dirname(bundle)}/bundle.wgetrc` }
  const again = await runCli(['env', '--config', config, '--caller', 'checkout'], { env: ours })
  expect(again.stdout).toContain('export WGETRC=')
})

test('a pod is told how its secret is made, and that the paths are its own', async () => {
  const { config, stdout } = await env(INTERCEPTING, ['--caller', 'checkout', '--format', 'kubernetes'])
  const beside = join(dirname(config), 'authority')
  const key = join(dirname(config), 'not-read')
  expect(stdout).toContain(
    `# make the secret: kubectl create secret generic sallyport-checkout --from-literal=key="$(cat ${key})"\n`,
  )
  expect(stdout).toContain(`mount bundle.pem, bundle.jks, bundle.wgetrc, bundle.apt.conf at ${beside} there\n`)
  expect(stdout).toContain('$(KUBERNETES_SERVICE_HOST)')
})

const WITHOUT_PORT = SETTINGS.replaceAll(/.*:1500\d.*\n/g, '').replaceAll(/.*unsafeAny.*\n/g, '')

test.each<[string, string, string[], string]>([
  [
    'no door with a port of its own',
    WITHOUT_PORT,
    ['--caller', 'checkout'],
    'add a listener that a proxy variable can name',
  ],
  ['a caller without a key', SETTINGS, ['--caller', 'reporting'], 'use --caller with one of kind api-key'],
  ['several callers', SETTINGS, [], 'use --caller with one of checkout, anybody, reporting'],
  ['a caller that is not there', SETTINGS, ['--caller', 'chekout'], 'there is no caller "chekout": use --caller with'],
  ['another format', SETTINGS, ['--format', 'toml'], 'Allowed choices are shell, json, kubernetes'],
])('%s: nothing is printed, the exit code is 2, and the remedy is said', async (_, text, args, words) => {
  const { code, stdout, stderr } = await env(text, args)
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  expect(stderr).toContain(words)
})
