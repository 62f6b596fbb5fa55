import { once } from 'node:events'
import { connect } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { eventually, privateDirectory, remove, startSallyport } from '../support/sallyport.ts'

async function start(settings: object) {
  const directory = privateDirectory()
  onTestFinished(() => remove(directory))
  const running = await startSallyport(directory, settings)
  onTestFinished(async () => void (await running.stop()))
  const [door] = running.doors
  const [host = '', port] = (door?.address ?? '').split(':')
  const open = async () => {
    const socket = connect({ host, port: Number(port) })
    onTestFinished(() => void socket.destroy())
    await once(socket, 'connect')
    return socket
  }
  return { running, open }
}

const DOOR = { listeners: [{ kind: 'forward', listen: '127.0.0.1:0' }], drainTimeoutMs: 5_000 }
const REQUEST = 'GET http://nowhere.example/ HTTP/1.1\r\nHost: nowhere.example\r\n\r\n'

test('who was taken in just before a stop, and has said nothing yet, is answered', async () => {
  const { running, open } = await start(DOOR)
  const early = await open()
  // In the order in which they came: what is answered here shows that the one before was taken in.
  const later = await open()
  later.write(REQUEST)
  await once(later, 'data')
  process.kill(running.pid, 'SIGTERM')
  await eventually(() => /"stopping"/.exec(running.output()) ?? undefined, 'the stop to have begun')
  early.write(REQUEST)
  const [answer] = await once(early, 'data')
  expect(String(answer)).toMatch(/^HTTP\/1\.1 407 /)
  expect(String(answer)).toMatch(/^Connection: close\r$/im)
})

test('who says nothing keeps nothing waiting: half a second, and not the whole drain', async () => {
  const { running, open } = await start(DOOR)
  const silent = await open()
  const began = performance.now()
  const closed = once(silent, 'close')
  expect(await running.stop()).toBe(0)
  await closed
  expect(performance.now() - began).toBeLessThan(8_000)
})
