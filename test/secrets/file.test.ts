import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, chmodSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { type OpenSecret, openSecret } from '../../src/secrets/open.ts'
import { SecretReference } from '../../src/secrets/reference.ts'
import { timed } from '../support/own-time.ts'
import { CANARY, K03, open, renameOver, replace, setUp, setUpMount, valueOf } from './places.ts'

const K10: readonly (readonly [string, (path: string, value: string) => void])[] = [
  ['by atomic rename', renameOver],
  ['in place', (path, value) => writeFileSync(path, value)],
  ['in place, at the same length', (path) => writeFileSync(path, 'eulav')],
  ['by removal and new creation', (path, value) => replace(path, () => writeFileSync(path, value, { mode: 0o600 }))],
]

test.each(K10)('K10: notices a change %s', async (_, change) => {
  const { directory, path } = setUp('value')
  const secret = await open(directory)
  change(path, 'eulav')
  await changed(secret)
  expect(valueOf(secret)).toBe('eulav')
  expect(secret.current().version).toBe(2)
})

test('K10: notices a swap of the Kubernetes "..data" link, again and again', async () => {
  const mount = setUpMount('value 0')
  const secret = await open(mount.directory)
  for (const generation of [1, 2, 3]) {
    mount.swap(`value ${generation}`)
    await changed(secret)
    expect(valueOf(secret)).toBe(`value ${generation}`)
  }
  expect(secret.current().version).toBe(4)
})

test('K10: a file is never taken while it is being written', async () => {
  const { directory, path } = setUp('a'.repeat(100))
  const secret = await open(directory)
  const seen = new Set([valueOf(secret)])
  secret.onChange(() => seen.add(valueOf(secret)))
  for (let round = 0; round < 300; round++) {
    const half = (round % 2 ? 'a' : 'b').repeat(50)
    writeFileSync(path, half)
    await nextTurn()
    appendFileSync(path, half)
    await nextTurn()
  }
  renameOver(path, 'last')
  while (valueOf(secret) !== 'last') await changed(secret)
  expect([...seen].filter((value) => value.length === 50 || value === '')).toEqual([])
})

test('K10: with the usual interval a new value is in use within 5 seconds', async () => {
  const { directory, path } = setUp('old')
  const secret = await open(directory, { pollMs: undefined })
  renameOver(path, 'new')
  expect((await timed(() => changed(secret))).tookMs).toBeLessThan(5000)
})

test('the same content in a new file is no change', async () => {
  const { directory, path } = setUp('value')
  const secret = await open(directory)
  let changes = 0
  secret.onChange(() => changes++)
  renameOver(path, 'value\n')
  await settled(directory)
  renameOver(path, 'other')
  await changed(secret)
  expect([changes, secret.current().version]).toEqual([1, 2])
})

test.each(K03.filter(([name]) => name !== 'is a directory'))(
  'a file that %s later keeps the old value, is reported once, and is taken again when it is good',
  async (_, spoil, says) => {
    const { directory, path } = setUp('old')
    const faults: string[] = []
    const heard = Promise.withResolvers<void>()
    const onFault = (message: string) => {
      faults.push(message)
      heard.resolve()
    }
    const secret = await open(directory, { onFault })
    spoil(path)
    await heard.promise
    expect(valueOf(secret)).toBe('old')
    await settled(directory)
    expect(faults).toHaveLength(1)
    expect(faults[0]).toMatch(says)
    expect(faults[0]).toMatch(/The secret read before stays in use$/)
    expect(faults[0]).not.toContain(CANARY)
    renameOver(path, 'new')
    await changed(secret)
    expect(valueOf(secret)).toBe('new')
  },
)

test('a listener that throws keeps nobody else from being told', async () => {
  const { directory, path } = setUp('old')
  const faults: string[] = []
  const secret = await open(directory, { onFault: (message) => faults.push(message) })
  secret.onChange(() => {
    throw new Error(CANARY)
  })
  renameOver(path, 'new')
  await changed(secret)
  expect(faults).toEqual([expect.stringContaining('somebody who was to be told failed')])
  expect(faults[0]).not.toContain(CANARY)
})

test('once closed, it gives the last value and looks no more', async () => {
  const { directory, path } = setUp('old')
  const closed = await open(directory)
  const other = await open(directory)
  closed.onChange(() => expect.unreachable())
  closed.close()
  closed.close()
  renameOver(path, 'new')
  await changed(other)
  await settled(directory)
  expect([valueOf(closed), valueOf(other)]).toEqual(['old', 'new'])
})

test('an open secret does not keep the process alive', async () => {
  const { directory } = setUp('value')
  const module = JSON.stringify(new URL('../../src/secrets/file.ts', import.meta.url).href)
  const script = `const { file } = await import(${module}); await file.open({ file: 'crm' }, { directory: ${JSON.stringify(directory)} })`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], { stdio: 'inherit' })
  onTestFinished(() => void child.kill())
  expect(await once(child, 'exit')).toEqual([0, null])
})

function changed(secret: OpenSecret): Promise<void> {
  return new Promise((resolve) => secret.onChange(resolve))
}

/** After another secret of the directory has been through a change and a half: whoever polls as often has looked twice. */
async function settled(directory: string): Promise<void> {
  const path = join(directory, 'witness')
  writeFileSync(path, 'one', { mode: 0o600 })
  const witness = await open(directory, { file: 'witness' })
  for (const value of ['two', 'three']) {
    renameOver(path, value)
    await changed(witness)
  }
  witness.close()
}

test('a file that may be missing is the empty secret for as long as it is, or is empty', async () => {
  const { directory, path } = setUp('')
  const faults: string[] = []
  const base = { directory, pollMs: 5, onFault: (fault: string) => void faults.push(fault) }
  const secret = await openSecret(new SecretReference({ file: 'crm' }, { mayBeMissing: true }), base)
  onTestFinished(() => secret.close())
  const seen = [valueOf(secret)]
  for (const change of [() => renameOver(path, 'next'), () => rmSync(path), () => renameOver(path, 'another')]) {
    change()
    await changed(secret)
    seen.push(valueOf(secret))
  }
  expect(seen).toEqual(['', 'next', '', 'another'])
  expect(faults).toEqual([])
})

test('a file that may be missing is refused like any other where it is there and open to others', async () => {
  const { directory, path } = setUp('value')
  chmodSync(path, 0o644)
  const reference = new SecretReference({ file: 'crm' }, { mayBeMissing: true })
  await expect(openSecret(reference, { directory })).rejects.toThrow(/is open to other users/)
})
