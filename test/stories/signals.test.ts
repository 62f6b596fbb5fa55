import { expect, test } from 'vitest'
import { sendRaw } from '../support/raw-client.ts'
import { eventually, privateDirectory, remove, startSallyport } from '../support/sallyport.ts'

test.each(['SIGHUP', 'SIGUSR1'] as const)('K15: a storm of %s ends nothing and opens nothing', async (signal) => {
  const running = await startSallyport(privateDirectory(), { listeners: [{ kind: 'forward', listen: '127.0.0.1:0' }] })
  for (let count = 0; count < 100; count++) process.kill(running.pid, signal)
  const [door] = running.doors
  const { status } = await sendRaw(door?.address ?? '', 'GET http://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n', {
    until: /\}\n$/,
  })
  expect(status).toBe(407)
  if (signal === 'SIGHUP')
    await eventually(() => /settings were read again/.exec(running.output()) ?? undefined, 'a word about it')
  // SIGUSR1 would start Node's inspector, a door to all of our memory.
  expect(running.output()).not.toMatch(/Debugger listening/)
  expect(await running.stop()).toBe(0)
  remove(running.directory)
})
