import { execFileSync, spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { backup, DatabaseSync } from 'node:sqlite'
import { afterAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { open, type StorePlace, StorePlaces, until } from '../support/stores.ts'

const places = new StorePlaces()
const isRoot = process.getuid?.() === 0
let place: StorePlace
let file: string

afterAll(() => places.close())

beforeEach(async () => {
  place = await places.make('sqlite')
  file = join(place.directory, 'store/test.db')
})

function grant(connection: string) {
  return { holder: { caller: 'app' }, connection, rules: [], until: undefined, createdBy: 'ops' }
}

/** A store with one grant, closed again. */
async function filled(): Promise<void> {
  const store = await open(place)
  await store.addGrant(grant('crm'))
  await store.close()
}

describe('the file', () => {
  test('and all beside it are closed to others, whatever the umask is', async () => {
    const before = process.umask(0)
    onTestFinished(() => void process.umask(before))
    await (await open(place)).addGrant(grant('crm'))
    const modes = readdirSync(join(place.directory, 'store')).map((name) => [
      name,
      statSync(join(place.directory, 'store', name)).mode & 0o777,
    ])
    expect(modes).toEqual([
      ['test.db', 0o600],
      ['test.db-shm', 0o600],
      ['test.db-wal', 0o600],
    ])
    expect(statSync(join(place.directory, 'store')).mode & 0o777).toBe(0o700)
  })

  test.for<[string, () => void, RegExp]>([
    ['is open to the group', () => chmodSync(file, 0o640), /test\.db is open to other users: chmod 600/],
    [
      'is in a directory that is open to others',
      () => chmodSync(join(file, '..'), 0o755),
      /store is open to other users: chmod 700/,
    ],
    [
      'has a log beside it that is open',
      () => writeFileSync(`${file}-wal`, '', { mode: 0o644 }),
      /-wal is open to other users/,
    ],
    ['is a symbolic link', () => (renameSync(file, `${file}.x`), symlinkSync(`${file}.x`, file)), /is no regular file/],
    ['is a directory', () => (rmSync(file), mkdirSync(file)), /is no regular file/],
    ['is text', () => writeFileSync(file, 'x'.repeat(5_000)), /is not a database: name another file, or put a backup/],
    ['is cut off in the middle', () => truncateSync(file, 9_000), /is damaged: put a backup in its place/],
    ['is of another program', () => ofAnother(), /is a database of another program: name another file/],
  ])('that %s is refused, with the remedy', async ([, spoil, words]) => {
    await filled()
    spoil()
    await expect(open(place)).rejects.toThrow(words)
  })

  test.skipIf(!isRoot)('of another user is refused, with the remedy', async () => {
    await filled()
    chownSync(file, 65_534, 65_534)
    await expect(open(place)).rejects.toThrow(/belongs to uid 65534: chown it/)
  })

  function ofAnother(): void {
    rmSync(file)
    const other = new DatabaseSync(file)
    other.exec('create table contacts (id integer)')
    other.close()
    chmodSync(file, 0o600)
  }
})

describe('while it runs', () => {
  test('a file that is replaced counts as lost: nothing is opened, nothing is closed, and it says so once', async () => {
    const faults: string[] = []
    const store = await open(place, { onFault: (message) => faults.push(message) })
    await store.addGrant(grant('crm'))
    copyFileSync(file, `${file}.copy`)
    renameSync(`${file}.copy`, file)
    await until(() => store.state().phase === 'lost')
    const confirmedAt = store.confirmedAt()
    await new Promise((resolve) => setTimeout(resolve, 600))
    expect(store.confirmedAt()).toBe(confirmedAt)
    expect(store.holdings().grants).toHaveLength(1)
    expect(faults).toEqual([`${file} was removed, or replaced by another file: start Sallyport again`])
  })

  test('a change waits until another process has finished writing, and does not hold up this one', async () => {
    const store = await open(place)
    const other = new DatabaseSync(file)
    onTestFinished(() => other.close())
    other.exec('begin immediate')
    let ticks = 0
    const ticking = setInterval(() => ticks++, 5)
    const added = store.addGrant(grant('crm'))
    await until(() => ticks > 5)
    expect(store.holdings().grants).toEqual([])
    other.exec('commit')
    await added
    clearInterval(ticking)
    expect(store.holdings().grants).toHaveLength(1)
  })

  test('another process that does not finish is named as what is wrong', async () => {
    const store = await open(place)
    const other = new DatabaseSync(file)
    onTestFinished(() => other.close())
    other.exec('begin immediate')
    await expect(store.addGrant(grant('crm'))).rejects.toThrow('another process is writing')
    expect(store.state()).toEqual({ phase: 'confirmed' })
  })

  test('a backup taken meanwhile is whole', async () => {
    const store = await open(place)
    await store.addGrant(grant('crm'))
    const copy = mkdtempSync(join(tmpdir(), 'sallyport-backup-'))
    onTestFinished(() => rmSync(copy, { recursive: true }))
    const source = new DatabaseSync(file)
    onTestFinished(() => source.close())
    await backup(source, join(copy, 'test.db'))
    chmodSync(join(copy, 'test.db'), 0o600)
    await store.removeGrants(store.holdings().grants.map(({ id }) => id))
    const restored = await open({ ...place, directory: copy, settings: { kind: 'sqlite', path: 'test.db' } })
    expect(restored.holdings().grants).toHaveLength(1)
  })
})

test.skipIf(!isRoot)(
  'a full disk refuses the change, keeps what was there, and is over when there is room',
  async () => {
    const disk = mkdtempSync(join(tmpdir(), 'sallyport-disk-'))
    onTestFinished(() => rmSync(disk, { recursive: true, force: true }))
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', disk])
    onTestFinished(() => void spawnSync('umount', ['-l', disk]))
    const store = await open({ ...place, directory: disk })
    onTestFinished(() => store.close())
    const filling = join(disk, 'filling')
    await store.addGrant(grant('crm'))
    expect(() => writeFileSync(filling, Buffer.alloc(2 ** 20))).toThrow('ENOSPC')
    const refused = await addUntilRefused()
    expect(refused).toMatchObject({ code: 'lost' })
    expect(String(refused)).toMatch(/cannot grow: the disk is full, so make room|cannot be read or written/)
    const kept = store.holdings().grants.map(({ id }) => id)
    expect(store.state()).toEqual({ phase: 'confirmed' })
    rmSync(filling)
    const { id } = await store.addGrant(grant('after'))
    const again = await open({ ...place, directory: disk })
    expect(again.holdings().grants.map((one) => one.id)).toEqual([...kept, id])
    await again.close()

    async function addUntilRefused(): Promise<unknown> {
      try {
        for (let index = 0; index < 500; index++) await store.addGrant(grant(`c${index}`.padEnd(2_000, 'x')))
        return 'nothing was refused'
      } catch (error) {
        return error
      }
    }
  },
)
