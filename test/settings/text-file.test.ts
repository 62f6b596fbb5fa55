import { chmodSync, mkdirSync, renameSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { WhenGone } from '../../src/forms/network.ts'
import { openText } from '../../src/settings/text-file.ts'
import { eventually } from '../support/sallyport.ts'
import { temporaryFolder } from '../support/settings-file.ts'

const faultOfText = (text: string) => (text.startsWith('good') ? undefined : 'is no good: write "good"')

async function opened(first: string, whenGone?: WhenGone) {
  const path = join(await temporaryFolder(), 'text')
  writeFileSync(path, first)
  const faults: string[] = []
  const text = await openText(path, {
    faultOfText,
    onFault: (message) => faults.push(message),
    pollMs: 5,
    ...(whenGone && { whenGone }),
  })
  onTestFinished(() => text.close())
  const becomes = (wanted: string) => eventually(() => (text.current() === wanted ? true : undefined), wanted)
  return { path, text, faults, becomes }
}

test('a change is taken in, whether the file was written in place or replaced', async () => {
  const { path, becomes } = await opened('good 1')
  writeFileSync(path, 'good 22')
  await becomes('good 22')
  writeFileSync(`${path}.new`, 'good 3')
  renameSync(`${path}.new`, path)
  await becomes('good 3')
})

test('what changes for the worse is told once, and what was there before stays in use', async () => {
  const { path, text, faults, becomes } = await opened('good 1')
  writeFileSync(path, 'bad')
  await eventually(() => faults[0], 'a fault')
  expect(faults[0]).toBe(`${path} is no good: write "good". What it held before stays in use`)
  unlinkSync(path)
  await eventually(() => faults[1], 'another')
  expect(faults[1]).toContain('cannot be read (ENOENT)')
  expect(text.current()).toBe('good 1')
  writeFileSync(path, 'good again')
  await becomes('good again')
  expect(faults).toHaveLength(2)
})

test('what is taken back when its file goes is there again when the file is', async () => {
  const { path, faults, becomes } = await opened('good 1', 'taken back')
  unlinkSync(path)
  await becomes('')
  writeFileSync(path, 'good 2')
  await becomes('good 2')
  expect(faults).toEqual([])
})

test('a file that everybody may write to says nothing, and no more does what is no file', async () => {
  const folder = await temporaryFolder()
  const path = join(folder, 'open')
  writeFileSync(path, 'good')
  chmodSync(path, 0o646)
  const judges = { faultOfText, onFault: () => undefined }
  await expect(openText(path, judges)).rejects.toThrow(`${path} may be written by everybody: chmod o-w`)
  mkdirSync(join(folder, 'directory'))
  await expect(openText(join(folder, 'directory'), judges)).rejects.toThrow('is no regular file: use one')
})

test('a file that is no good to begin with is refused in words', async () => {
  await expect(opened('bad')).rejects.toThrow(/text is no good: write "good"$/)
  await expect(opened(`good${'x'.repeat(1024 * 1024)}`)).rejects.toThrow(/has more than 1 MiB/)
})
