import { execFileSync } from 'node:child_process'
import { appendFileSync, chmodSync, mkdirSync, renameSync, rmdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { loadSettings } from '../../src/settings/load.ts'
import { stampOfSettings, steadyBytesOf, watchSettings } from '../../src/settings/settings-file.ts'
import { eventually } from '../support/sallyport.ts'
import { DOOR, refusalOf, settingsFile, temporaryFolder } from '../support/settings-file.ts'

/** Writes once in a while, until it is told to stop, or as often as is said. Each time is nearer than two looks are apart. */
function writing(write: (time: number) => void, times = Number.POSITIVE_INFINITY): { stop(): void } {
  let time = 0
  const timer = setInterval(() => {
    write((time += 1))
    if (time >= times) clearInterval(timer)
  }, 15)
  return { stop: () => clearInterval(timer) }
}

test('what is written in parts is read when it is whole, though each part were right in itself', async () => {
  const file = await settingsFile(DOOR)
  writing(() => appendFileSync(file, '# the rest\n'), 1)
  expect((await steadyBytesOf(file)).toString()).toBe(`${DOOR}# the rest\n`)
})

test('what another file takes the place of meanwhile is read as that one', async () => {
  const file = await settingsFile(DOOR)
  const swap = () => {
    writeFileSync(`${file}.new`, `${DOOR}# new\n`)
    renameSync(`${file}.new`, file)
  }
  writing(swap, 1)
  expect((await steadyBytesOf(file)).toString()).toBe(`${DOOR}# new\n`)
})

test('what does not come to rest is refused, with what to do', async () => {
  const file = await settingsFile(DOOR)
  const { stop } = writing((time) => writeFileSync(file, `${DOOR}# ${time}\n`))
  const refusal = await refusalOf(steadyBytesOf(file)).finally(stop)
  expect(refusal).toEqual([
    `${file}:1:1 is written all the time: write another file, move that into its place, and ask again`,
  ])
})

test.each([
  ['a pipe', (file: string) => execFileSync('mkfifo', [file]), 'is no regular file'],
  ['a device', (file: string) => symlinkSync('/dev/zero', file), 'is no regular file'],
  ['a directory', (file: string) => mkdirSync(file), 'is a directory'],
  ['nothing', () => undefined, 'does not exist'],
  ['a link to itself', (file: string) => symlinkSync(file, file), 'cannot be read (ELOOP)'],
  ['10 MB', (file: string) => writeFileSync(file, Buffer.alloc(10_000_000)), 'is larger than 4 MiB'],
])('%s in its place is refused, and nobody waits for it', async (_, put, words) => {
  const file = join(await temporaryFolder(), 's.yaml')
  put(file)
  expect(await refusalOf(steadyBytesOf(file))).toEqual([`${file}:1:1 ${words}: use the path of a settings file`])
})

test('what everybody may write to is not read again, and said so at the start', async () => {
  const file = await settingsFile(DOOR)
  expect((await loadSettings(file)).warnings).toEqual([])
  chmodSync(file, 0o646)
  expect(await refusalOf(steadyBytesOf(file))).toEqual([`${file}:1:1 may be written by everybody: chmod o-w`])
  expect((await loadSettings(file)).warnings).toEqual([
    `${file}:1:1 is not read again as it is: everybody may write to it, chmod o-w`,
  ])
})

describe('a file that is watched', () => {
  const POLL_MS = 10

  async function watched(between: (file: string) => void = () => undefined) {
    const file = await settingsFile(DOOR)
    const since = await stampOfSettings(file)
    between(file)
    let times = 0
    await watchSettings(file, since, () => (times += 1), POLL_MS)
    return { file, told: (count: number) => eventually(() => times === count || undefined, `change ${count}`) }
  }

  test('tells of each change, and of what is there again as it was', async () => {
    const { file, told } = await watched()
    writeFileSync(file, 'broken: [')
    await told(1)
    renameSync(file, `${file}.aside`)
    await told(2)
    mkdirSync(file)
    await told(3)
    rmdirSync(file)
    renameSync(`${file}.aside`, file)
    await told(4)
    chmodSync(file, 0o600)
    await told(5)
  })

  test('tells of what has changed since before it was read', async () => {
    const { told } = await watched((file) => writeFileSync(file, `${DOOR}# other\n`))
    await told(1)
  })

  test('that could never be read again is refused at the start', async () => {
    const pipe = join(await temporaryFolder(), 'pipe')
    execFileSync('mkfifo', [pipe])
    const refusal = await refusalOf(watchSettings(pipe, await stampOfSettings(pipe), () => undefined))
    expect(refusal).toEqual([`${pipe}:1:1 is no regular file: use the path of a settings file`])
  })
})
