import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { hasTool } from '../support/debian.ts'
import { eventually, privateDirectory, remove, startSallyport } from '../support/sallyport.ts'

const DOORS = { listeners: [{ kind: 'forward', listen: '127.0.0.1:0' }], drainTimeoutMs: 2_000 }

/** What systemd is to us: somebody who reads datagrams, and sees who sent them. */
const RECEIVER = `
import socket, struct, sys
path = sys.argv[1]
made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
made.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
made.bind('\\0' + path[1:] if path[0] == '@' else path)
print('bound', flush=True)
while True:
    text, extra, _, _ = made.recvmsg(4096, 1024)
    pid = struct.unpack('3i', extra[0][2])[0]
    print(pid, repr(text.decode()), flush=True)
`

async function receive(address: string) {
  const child = spawn('/usr/bin/python3', ['-c', RECEIVER, address], { stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(() => void child.kill())
  let heard = ''
  child.stdout.setEncoding('utf8').on('data', (text) => (heard += text))
  const until = (words: RegExp) => eventually(() => words.exec(heard) ?? undefined, String(words))
  await until(/bound/)
  return { until, count: (words: RegExp) => [...heard.matchAll(words)].length }
}

function directory(): string {
  const made = privateDirectory()
  onTestFinished(() => remove(made))
  return made
}

test.skipIf(!hasTool('python3')).each([
  ['a path', (place: string) => join(place, 'notify')],
  ['an abstract name', () => `@sallyport-test-${process.pid}`],
])('tells at %s that it is ready, where it listens, that it is alive, and that it stops', async (_, addressIn) => {
  const place = directory()
  const address = addressIn(place)
  const { until, count } = await receive(address)
  const env = { NOTIFY_SOCKET: address, WATCHDOG_USEC: '100000' }
  const running = await startSallyport(place, DOORS, { env })
  const [, pid] = await until(/^(\d+) 'READY=1\\nSTATUS=forward 127\.0\.0\.1:\d+'$/m)
  // From the process itself, so that NotifyAccess=main is enough.
  expect(Number(pid)).toBe(running.pid)
  await eventually(() => count(/'WATCHDOG=1'/g) >= 3 || undefined, 'three signs of life')
  process.kill(running.pid, 'SIGHUP')
  await until(/'RELOADING=1\\nMONOTONIC_USEC=\d+'\n(?:\d+ 'WATCHDOG=1'\n)*\d+ 'READY=1'\n/)
  await running.stop()
  // drainTimeoutMs, and ten seconds for what comes behind it.
  await until(/'STOPPING=1\\nEXTEND_TIMEOUT_USEC=12000000\\nSTATUS=draining'/)
})

test.skipIf(!hasTool('python3'))('is no watchdog for another process', async () => {
  const place = directory()
  const address = join(place, 'notify')
  const { until, count } = await receive(address)
  const env = { NOTIFY_SOCKET: address, WATCHDOG_USEC: '1000', WATCHDOG_PID: '1' }
  const running = await startSallyport(place, DOORS, { env })
  await until(/READY=1/)
  await running.stop()
  await until(/STOPPING=1/)
  expect(count(/WATCHDOG/g)).toBe(0)
})

test.each([
  ['/nowhere/notify', /systemd did not take READY=1/],
  ['vsock:2:1', /NOTIFY_SOCKET is of no use: it is neither a path nor an abstract name/],
  [`/${'x'.repeat(200)}`, /NOTIFY_SOCKET is of no use/],
])('serves all the same where nobody can be told at %s, and says so', async (address, says) => {
  const running = await startSallyport(directory(), DOORS, { env: { NOTIFY_SOCKET: address } })
  await eventually(() => says.exec(running.output()) ?? undefined, String(says))
  expect(await running.stop()).toBe(0)
})

test('a Node without node:ffi serves all the same', async () => {
  const options = { env: { NOTIFY_SOCKET: '/nowhere/notify' }, nodeFlags: ['--no-experimental-ffi'] }
  const running = await startSallyport(directory(), DOORS, options)
  await eventually(() => /it needs Linux, and a Node with node:ffi/.exec(running.output()) ?? undefined, 'a warning')
  expect(await running.stop()).toBe(0)
})
