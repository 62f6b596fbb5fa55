import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { bundle } from '../../deploy/build.ts'
import { loadSettings } from '../../src/settings/load.ts'
import { referencesIn } from '../../src/settings/open.ts'
import { hasTool } from '../support/debian.ts'
import { eventually, writeSecret } from '../support/sallyport.ts'

const HERE = new URL('../../deploy/systemd', import.meta.url).pathname
const README = readFileSync(join(HERE, 'README.md'), 'utf8')
const SERVICE = readFileSync(join(HERE, 'sallyport.service'), 'utf8')
const SOCKETS = globSync(join(HERE, '*.socket'))
const SETTINGS = join(HERE, 'sallyport.yaml')
const hasSystemd = hasTool('systemd')

function scratch(): string {
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-units-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

/** Copies whose command is there to be found; `edit` spoils the service. */
function copies(edit = (text: string) => text): readonly string[] {
  const directory = scratch()
  for (const file of SOCKETS) cpSync(file, join(directory, basename(file)))
  const text = SERVICE.replace('/opt/sallyport/current/sallyport', '/bin/true')
  writeFileSync(join(directory, 'sallyport.service'), edit(text))
  const dropIn = join(directory, 'sallyport.service.d')
  cpSync(join(HERE, 'sallyport.service.d'), dropIn, { recursive: true })
  return globSync(join(directory, '*.{service,socket}'))
}

function analyze(...args: readonly string[]) {
  const { status, stdout, stderr } = spawnSync('systemd-analyze', args, { encoding: 'utf8' })
  return { status, said: stdout + stderr }
}

/** The value of a key of a unit, as often as it is there. */
function valuesIn(text: string, key: string): string[] {
  return Array.from(text.matchAll(new RegExp(`^${key}=(.*)$`, 'gm')), ([, value = '']) => value)
}

test.skipIf(!hasSystemd)('systemd finds nothing wrong with the units', () => {
  expect(analyze('verify', ...copies())).toEqual({ status: 0, said: '' })
})

test.skipIf(!hasSystemd)('and would find a key that is none', () => {
  const { said } = analyze('verify', ...copies((text) => text.replace('DynamicUser=', 'DynamicUsers=')))
  expect(said).toMatch(/Unknown key (name )?.DynamicUsers./)
})

test.skipIf(!hasSystemd)('what is left of the exposure is what the README says', () => {
  const [service = ''] = copies().filter((file) => file.endsWith('.service'))
  const { said } = analyze('security', '--offline=true', service)
  const measured = /exposure level for sallyport\.service: ([0-9.]+)/.exec(said)?.[1]
  expect(README).toContain(`exposure level ${measured} of 10`)
  expect(Number(measured)).toBeLessThanOrEqual(1.3)
  const open = Array.from(said.matchAll(/^✗ (\S+)/gm), ([, name = '']) => name)
  for (const name of open) expect(README).toContain(name.replace(/=.*/, '='))
})

test('every socket of the settings is that of one unit: name, address, service', async () => {
  const { settings, warnings } = await loadSettings(SETTINGS)
  const { listeners, admin } = settings
  const said = [...listeners, ...(admin ? [admin] : [])].map((one) => [
    'systemd' in one ? one.systemd : '',
    one.listen.replace('unix:', ''),
  ])
  const units = SOCKETS.map((file) => readFileSync(file, 'utf8'))
  const opened = units.map((text) => [...valuesIn(text, 'FileDescriptorName'), ...valuesIn(text, 'ListenStream')])
  expect(new Set(said.map((row) => row.join(' ')))).toEqual(new Set(opened.map((row) => row.join(' '))))
  for (const text of units) expect(valuesIn(text, 'Service')).toEqual(['sallyport.service'])
  expect(warnings).toEqual([])
})

test('every secret of the settings is loaded by the drop-in, and nothing else is', async () => {
  const references = referencesIn((await loadSettings(SETTINGS)).settings)
  const wanted = references.map(({ reference }) =>
    'settings' in reference ? reference.settings['systemd'] : undefined,
  )
  const loaded = valuesIn(readFileSync(join(HERE, 'sallyport.service.d/secrets.conf'), 'utf8'), 'LoadCredential')
  expect(new Set(wanted)).toEqual(new Set(loaded.map((line) => line.split(':')[0])))
})

test('the settings pass `check` outside of systemd, with the directory of the secrets in the place of its own', () => {
  const directory = scratch()
  for (const name of ['crm', 'audit']) writeSecret(directory, name, 'a secret of this test')
  const cli = new URL('../../src/cli.ts', import.meta.url).pathname
  const env = { ...process.env, CREDENTIALS_DIRECTORY: directory }
  const { status, stdout, stderr } = spawnSync(process.execPath, [cli, 'check', '--config', SETTINGS], {
    env,
    encoding: 'utf8',
  })
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  expect(stdout).toMatch(
    /is right: 2 listeners.*\nto come from systemd when it starts: forward at 127\.0\.0\.1:15001, crm at unix:/,
  )
})

test('there is time for the drain, and settings that are wrong are not tried again', async () => {
  const { settings } = await loadSettings(SETTINGS)
  const [seconds] = valuesIn(SERVICE, 'TimeoutStopSec')
  expect(Number(seconds) * 1000).toBeGreaterThanOrEqual(settings.drainTimeoutMs + 5_000)
  expect(valuesIn(SERVICE, 'RestartPreventExitStatus')).toEqual(['2'])
})

/** All system calls of a set, those of the sets in it included. */
function callsOf(set: string): string[] {
  const lines = execFileSync('systemd-analyze', ['syscall-filter', set], { encoding: 'utf8' }).split('\n').slice(1)
  const words = lines.map((line) => line.trim()).filter((word) => word !== '' && !word.startsWith('#'))
  return words.flatMap((word) => (word.startsWith('@') ? callsOf(word) : [word]))
}

/** What `SystemCallFilter=` of the unit leaves, line by line. */
function allowedCalls(): ReadonlySet<string> {
  const allowed = new Set<string>()
  for (const line of valuesIn(SERVICE, 'SystemCallFilter')) {
    const calls = line.replace('~', '').split(' ').flatMap(callsOf)
    for (const call of calls) line.startsWith('~') ? allowed.delete(call) : allowed.add(call)
  }
  return allowed
}

/** Only as root, where SQLite gives its files the owner of the database. */
const AS_ROOT = ['fchown']

test.skipIf(!hasSystemd || !hasTool('strace'))(
  'no system call that it makes is refused by the filter of the unit',
  async () => {
    const directory = scratch()
    await bundle(join(directory, 'app'))
    writeSecret(directory, 'crm', 'a secret of this test')
    const settings = {
      listeners: [{ kind: 'reverse', listen: 'unix:crm.sock', connection: 'crm', caller: 'me' }],
      admin: { listen: 'unix:admin.sock' },
      store: { kind: 'sqlite', path: 'store/store.db' },
      audit: { sinks: [{ kind: 'json-lines', path: 'audit.jsonl' }, { kind: 'store' }] },
      ca: { directory: 'ca' },
      allowlist: ['crm.test'],
      callers: { me: { kind: 'socket' } },
      connections: {
        crm: {
          hosts: ['crm.test'],
          allowPrivate: ['127.0.0.0/8'],
          connect: 'intercept',
          credential: { kind: 'static', secret: { file: 'crm' } },
        },
      },
      dns: { hosts: { 'crm.test': ['127.0.0.1'] } },
      grants: [{ caller: 'me', connection: 'crm' }],
    }
    writeFileSync(join(directory, 'sallyport.json'), JSON.stringify(settings))
    mkdirSync(join(directory, 'trace'))
    const strace = ['-ff', '-qq', '-o', join(directory, 'trace/of')]
    const node = [
      process.execPath,
      '--disable-sigusr1',
      join(directory, 'app/sallyport.mjs'),
      'serve',
      '--config',
      'sallyport.json',
    ]
    const child = spawn('strace', [...strace, ...node], { cwd: directory, stdio: ['ignore', 'pipe', 'inherit'] })
    onTestFinished(() => void child.kill('SIGKILL'))
    let out = ''
    child.stdout.setEncoding('utf8').on('data', (text) => (out += text))
    await eventually(() => /"msg":"ready"/.exec(out) ?? undefined, 'a line that says ready', 60_000)
    execFileSync('curl', ['-s', '--unix-socket', join(directory, 'crm.sock'), 'http://localhost/'], { stdio: 'ignore' })
    const traced = globSync(join(directory, 'trace/of.*'))
    // strace hands no signal on to what it traces.
    const main = traced.map((file) => Number(file.split('.').at(-1))).sort((one, other) => one - other)[0] ?? 0
    process.kill(main, 'SIGTERM')
    await once(child, 'close')
    const made = new Set(
      traced.flatMap((file) =>
        Array.from(readFileSync(file, 'utf8').matchAll(/^([a-z_0-9]+)\(/gm), ([, call = '']) => call),
      ),
    )
    expect(made.size).toBeGreaterThan(50)
    const allowed = allowedCalls()
    expect([...made].filter((call) => !allowed.has(call) && !AS_ROOT.includes(call))).toEqual([])
  },
  240_000,
)
