import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { hasTool } from '../support/debian.ts'
import { eventually, privateDirectory, remove } from '../support/sallyport.ts'

const PASS = new URL('../support/systemd/pass.py', import.meta.url).pathname
const LAUNCHER = new URL('../../deploy/sallyport', import.meta.url).pathname
const hasPython = hasTool('python3')

interface Passing {
  /** `tcp HOST:PORT`, `unix PATH` and what is none of these; in order from file descriptor 3 on. */
  readonly sockets?: readonly string[]
  /** Set on top of what systemd would set; null: not set. */
  readonly env?: Readonly<Record<string, string | null>>
  readonly listeners: readonly object[]
  readonly more?: object
}

/** Runs `serve` as systemd would: one process from the first to the last, with sockets that are open already. */
function serve({ sockets = [], env = {}, listeners, more = {} }: Passing, directory = privateDirectory()): Served {
  onTestFinished(() => remove(directory))
  const file = join(directory, 'sallyport.json')
  const settings = { listeners, audit: { sinks: [{ kind: 'json-lines', path: 'audit.jsonl' }] }, ...more }
  writeFileSync(file, JSON.stringify(settings))
  const wish = JSON.stringify({ sockets, env: { LISTEN_FDNAMES: sockets.map((_, at) => `s${at}`).join(':'), ...env } })
  const child = spawn('/usr/bin/python3', [PASS, wish, '--', LAUNCHER, 'serve', '--config', file])
  onTestFinished(() => void child.kill('SIGKILL'))
  const said = { out: '', err: '' }
  child.stdout.setEncoding('utf8').on('data', (text) => (said.out += text))
  child.stderr.setEncoding('utf8').on('data', (text) => (said.err += text))
  return { child, said, directory }
}

interface Served {
  readonly child: ChildProcess
  readonly said: { out: string; err: string }
  readonly directory: string
}

async function ready({ said, child }: Served) {
  const look = () => /^\{"msg":"ready".*$/m.exec(said.out)?.[0] ?? (child.exitCode === null ? undefined : '')
  const line = await eventually(look, 'a line that says ready', 40_000)
  if (line === '') throw new Error(said.err)
  return JSON.parse(line)
}

const TCP = { kind: 'forward', listen: '127.0.0.1:0', systemd: 's0' }

test.skipIf(!hasPython)(
  'serves at sockets that it was passed, finds each by name, and says where they are',
  async () => {
    const directory = privateDirectory()
    const path = join(directory, 'x.sock')
    const listeners = [
      { kind: 'reverse', listen: `unix:${path}`, systemd: 'two' },
      { kind: 'forward', listen: '127.0.0.1:0', systemd: 'one' },
    ]
    const env = { LISTEN_FDNAMES: 'one:two' }
    const served = serve({ sockets: ['tcp 127.0.0.1:0', `unix ${path}`], env, listeners }, directory)
    const { listeners: doors } = await ready(served)
    expect(doors[0]).toEqual({ kind: 'reverse', address: `unix:${path}` })
    expect(doors[1].address).toMatch(/^127\.0\.0\.1:[1-9]\d*$/)
    expect((await fetch(`http://${doors[1].address}/`)).status).toBe(400)
    served.child.kill('SIGTERM')
    await once(served.child, 'exit')
    // It is systemd's to remove.
    expect(existsSync(path)).toBe(true)
  },
)

test.skipIf(!hasPython)('two sockets of one unit share its name, and are told apart by their addresses', async () => {
  const directory = privateDirectory()
  const paths = ['a.sock', 'b.sock'].map((name) => join(directory, name))
  const listeners = paths.toReversed().map((path) => ({ kind: 'reverse', listen: `unix:${path}`, systemd: 'app' }))
  const env = { LISTEN_FDNAMES: 'app:app' }
  const served = serve({ sockets: paths.map((path) => `unix ${path}`), env, listeners }, directory)
  const { listeners: doors } = await ready(served)
  expect(doors.map(({ address }: { address: string }) => address)).toEqual(
    paths.toReversed().map((path) => `unix:${path}`),
  )
})

const FROM_SYSTEMD = ['LISTEN_FDS', 'LISTEN_PID', 'LISTEN_FDNAMES', 'NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']

/** Settings whose credential comes from a command. */
function withCommand(script: string, env: readonly string[]) {
  const credential = { kind: 'exec', command: ['/bin/sh', '-c', script], env }
  return {
    allowlist: ['a.example'],
    callers: { me: { kind: 'socket' } },
    connections: { a: { hosts: ['a.example'], credential } },
    grants: [{ caller: 'me', connection: 'a' }],
  }
}

test.skipIf(!hasPython)(
  'what systemd says is in no environment any more: a command could not even ask for it',
  async () => {
    const directory = privateDirectory()
    const path = join(directory, 'x.sock')
    const env = { NOTIFY_SOCKET: join(directory, 'nobody'), WATCHDOG_USEC: '9000000', WATCHDOG_PID: '1' }
    const listeners = [{ kind: 'reverse', listen: `unix:${path}`, systemd: 's0', caller: 'me' }]
    const more = withCommand('true', FROM_SYSTEMD)
    const { child, said } = serve({ sockets: [`unix ${path}`], env, listeners, more }, directory)
    const [code] = await once(child, 'close')
    expect([code, ...said.err.matchAll(/(\S+) is not set: set it/g).map(([, name]) => name)]).toEqual([
      2,
      ...FROM_SYSTEMD,
    ])
  },
)

test.skipIf(!hasPython)('no socket gets to a command that a credential comes from', async () => {
  const directory = privateDirectory()
  const [path, found] = [join(directory, 'x.sock'), join(directory, 'found')]
  const more = withCommand(`ls -l /proc/self/fd > ${found}.tmp; mv ${found}.tmp ${found}`, [])
  const listeners = [{ kind: 'reverse', listen: `unix:${path}`, systemd: 's0', caller: 'me', connection: 'a' }]
  await ready(serve({ sockets: [`unix ${path}`], listeners, more }, directory))
  const curl = spawn('curl', ['-s', '--unix-socket', path, 'http://localhost/'], { stdio: 'ignore' })
  onTestFinished(() => void curl.kill())
  const text = await eventually(() => (existsSync(found) ? readFileSync(found, 'utf8') : undefined), 'the command')
  const open = Array.from(text.matchAll(/ (\d+) -> (\S+)/g), ([, fd, what]) => ({ fd: Number(fd), what }))
  expect(open.map(({ fd }) => fd)).toContain(1)
  expect(open.filter(({ fd, what }) => fd > 2 && what?.startsWith('socket:'))).toEqual([])
})

const NOWHERE = { kind: 'reverse', listen: 'unix:/nowhere/x.sock', systemd: 's0' }

test.skipIf(!hasPython).each<[string, Omit<Passing, 'listeners'> & { listeners?: object[] }, RegExp]>([
  [
    'nothing was passed',
    { env: { LISTEN_PID: null, LISTEN_FDS: null } },
    /no socket "s0" came from systemd .*start the service by its socket unit/,
  ],
  [
    'it was for another process',
    { sockets: ['tcp 127.0.0.1:0'], env: { LISTEN_PID: '1' } },
    /for process 1, and this is \d+: let nothing but `exec`/,
  ],
  ['the count is none', { sockets: ['tcp 127.0.0.1:0'], env: { LISTEN_FDS: '-1' } }, /LISTEN_FDS=-1 is no number/],
  [
    'there are fewer than said',
    { sockets: ['tcp 127.0.0.1:0'], env: { LISTEN_FDS: '90', LISTEN_FDNAMES: null } },
    /is no socket|does not listen/,
  ],
  [
    'there are fewer names',
    { sockets: ['tcp 127.0.0.1:0', 'tcp 127.0.0.1:0'], env: { LISTEN_FDNAMES: 's0' } },
    /1 names for 2 sockets/,
  ],
  [
    'the name is another',
    { sockets: ['tcp 127.0.0.1:0'], env: { LISTEN_FDNAMES: 'web' } },
    /no socket "s0" .*there are web.*FileDescriptorName=s0/,
  ],
  [
    'nothing here has that name',
    { sockets: ['tcp 127.0.0.1:0', 'tcp 127.0.0.2:0'] },
    /passes a socket "s1" at 127\.0\.0\.2:\d+, and nothing here has "systemd: s1"/,
  ],
  ['it is a file', { sockets: ['file'] }, /\(file descriptor 3\) is no socket/],
  ['it is for datagrams', { sockets: ['udp 127.0.0.1:0'] }, /is for datagrams: use ListenStream=/],
  ['it is bound and does not listen', { sockets: ['bound 127.0.0.1:0'] }, /does not listen/],
  [
    'it is one connection, as with Accept=yes',
    { sockets: ['connected 127.0.0.1:0'] },
    /does not listen: leave Accept= out/,
  ],
  ['it is an abstract socket', { sockets: [`unix @sallyport-test-${process.pid}`] }, /neither TCP nor at a path/],
  [
    'it is at another address',
    { sockets: ['tcp 127.0.0.2:0'] },
    /is at 127\.0\.0\.2:\d+, and the settings say 127\.0\.0\.1:0/,
  ],
  [
    'it is for the whole network',
    { sockets: ['tcp 0.0.0.0:0'] },
    /is at 0\.0\.0\.0:\d+, and the settings say 127\.0\.0\.1:0/,
  ],
  [
    'it is TCP, and the settings say a path',
    { sockets: ['tcp 127.0.0.1:0'], listeners: [NOWHERE] },
    /settings say unix:\/nowhere\/x\.sock/,
  ],
  [
    'the settings say the whole network',
    { sockets: ['tcp 0.0.0.0:0'], listeners: [{ ...TCP, listen: '0.0.0.0:15001' }] },
    /use a loopback address/,
  ],
  [
    'a mode is said beside it',
    { sockets: [], listeners: [{ ...NOWHERE, mode: '0660' }] },
    /mode: leave it out, and say SocketMode=0660 in the socket unit/,
  ],
])('does not start when %s, and says what to do', async (_, passing, says) => {
  const { child, said } = serve({ listeners: [TCP], ...passing })
  const [code] = await once(child, 'close')
  expect(said.err).toMatch(says)
  expect({ code, out: said.out }).toEqual({ code: 2, out: '' })
})

test.skipIf(!hasPython)('a door that proves its caller is not served where everybody may connect', async () => {
  const directory = privateDirectory()
  const path = join(directory, 'x.sock')
  const listeners = [{ kind: 'reverse', listen: `unix:${path}`, systemd: 's0', caller: 'me' }]
  const more = { callers: { me: { kind: 'socket' } } }
  const mask = process.umask(0)
  const { child, said } = serve({ sockets: [`unix ${path}`], listeners, more }, directory)
  process.umask(mask)
  const [code] = await once(child, 'close')
  expect(said.err).toMatch(/everybody on this machine may connect to unix:.*SocketMode=0660 and SocketGroup=/)
  expect(code).toBe(2)
})
