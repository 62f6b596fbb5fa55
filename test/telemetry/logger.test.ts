import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { openSync } from 'node:fs'
import { expect, test } from 'vitest'

const module = new URL('../../src/telemetry/logger.ts', import.meta.url).href

test('I13: a log that cannot be written, because the disk is full, ends nothing', async () => {
  const script = `const { createLogger } = await import('${module}'); const log = createLogger('info')
    for (let line = 0; line < 100; line++) { log.warn({}, 'a line'); await new Promise((done) => setImmediate(done)) }
    console.log('alive')`
  // The kernel's own full disk.
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', openSync('/dev/full', 'w')],
  })
  let out = ''
  child.stdout?.on('data', (chunk: Buffer) => (out += chunk))
  expect(await once(child, 'close')).toEqual([0, null])
  expect(out).toBe('alive\n')
})
