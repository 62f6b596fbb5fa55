import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { expect, onTestFinished, test } from 'vitest'
import { clientFileContents, clientFilesOf } from '../../src/ca/client-files.ts'
import { type CaPlace, openAuthority, readCertificate, rotateAuthority } from '../../src/ca/directory.ts'
import { foundRoot } from '../../src/ca/root.ts'
import { makeAuthority, makeSelfSigned } from '../support/certificates.ts'
import { HandClock } from '../support/hand-clock.ts'
import { privateDirectory, remove } from '../support/sallyport.ts'

const TERMS = { hosts: ['api.test', '*.files.test'], now: Date.now }
const FILES_OF_ONE = ['authority.pem', 'bundle.apt.conf', 'bundle.jks', 'bundle.pem', 'bundle.wgetrc', 'ca.pem']
const IS_ROOT = process.geteuid?.() === 0

test('creates the directory and the authority, and finds them again', async () => {
  const place = newPlace()
  const first = await openAuthority(place, TERMS)
  const second = await openAuthority(place, TERMS)
  expect(second.certificatePem).toBe(first.certificatePem)
  expect(second.expiresAt).toBe(first.expiresAt)
  expect(await readCertificate(place.directory)).toBe(first.certificatePem)
  expect(readdirSync(place.directory).toSorted()).toEqual(FILES_OF_ONE)
})

test('F08: the key is ours alone, whatever the umask; the rest is for all', async () => {
  const place = newPlace()
  const usual = process.umask(0)
  onTestFinished(() => void process.umask(usual))
  await openAuthority(place, TERMS)
  expect(modeOf(place.directory)).toBe('700')
  expect(modeOf(join(place.directory, 'authority.pem'))).toBe('600')
  process.umask(0o077)
  await openAuthority(place, TERMS)
  expect(modeOf(join(place.directory, 'ca.pem'))).toBe('644')
  expect(modeOf(join(place.directory, 'bundle.pem'))).toBe('644')
})

test.each(['bundle.jks', 'bundle.wgetrc', 'bundle.apt.conf'])('writes over no %s of somebody else', async (name) => {
  const place = newPlace()
  await openAuthority(place, TERMS)
  const file = join(place.directory, name)
  writeFileSync(file, 'what an operator put there\n')
  await expect(openAuthority(place, TERMS)).rejects.toThrow(`${file} was not written by Sallyport: `)
  expect(readFileSync(file, 'utf8')).toBe('what an operator put there\n')
})

test('no key is in a public file', async () => {
  const place = newPlace()
  const { certificatePem } = await openAuthority(place, TERMS)
  expect(readFileSync(join(place.directory, 'ca.pem'), 'utf8')).toBe(certificatePem)
  const bundle = readFileSync(join(place.directory, 'bundle.pem'), 'utf8')
  expect(bundle).toContain(certificatePem)
  expect(bundle).not.toContain('PRIVATE')
})

test('the bundle may stand elsewhere, and is written anew at each start', async () => {
  const elsewhere = newDirectory()
  const place = { ...newPlace(), bundle: join(elsewhere, 'roots.pem') }
  await openAuthority({ ...newPlace(), bundle: place.bundle }, TERMS)
  const { certificatePem } = await openAuthority(place, TERMS)
  expect(readFileSync(place.bundle, 'utf8')).toContain(certificatePem)
  expect(readdirSync(elsewhere).toSorted()).toEqual(['roots.apt.conf', 'roots.jks', 'roots.pem', 'roots.wgetrc'])
  expect(readdirSync(place.directory).toSorted()).toEqual(['authority.pem', 'ca.pem'])
})

test.each(['ca.pem', 'bundle.pem'])('a %s of somebody else is not written over, and nothing is made', async (name) => {
  const directory = newDirectory()
  const { certPem } = await makeAuthority()
  writeFileSync(join(directory, name), certPem)
  const words = `${join(directory, name)} was not written by Sallyport: `
  await expect(openAuthority({ directory }, TERMS)).rejects.toThrow(words)
  await expect(rotateAuthority({ directory }, TERMS)).rejects.toThrow(words)
  expect(readdirSync(directory)).toEqual([name])
  expect(readFileSync(join(directory, name), 'utf8')).toBe(certPem)
})

test('the directory of a bundle is made where that alone is missing, for others to read in', async () => {
  const bundle = join(newDirectory(), 'trust', 'roots.pem')
  await openAuthority({ ...newPlace(), bundle }, TERMS)
  expect(modeOf(dirname(bundle))).toBe('755')
  const deep = join(newDirectory(), 'none', 'trust', 'roots.pem')
  await expect(openAuthority({ ...newPlace(), bundle: deep }, TERMS)).rejects.toThrow('cannot be used (ENOENT)')
})

test('an empty file in the place of the bundle is one to be filled', async () => {
  const place = { ...newPlace(), bundle: join(newDirectory(), 'roots.pem') }
  writeFileSync(place.bundle, '\n')
  const { certificatePem } = await openAuthority(place, TERMS)
  expect(readFileSync(place.bundle, 'utf8')).toContain(certificatePem)
})

test('F08: ten processes that start at once end up with one authority', async () => {
  const place = newPlace()
  const children = Array.from({ length: 10 }, () => starting(place.directory))
  await Promise.all(children.map((child) => once(child.stdout, 'data')))
  for (const child of children) child.stdin.write('go\n')
  const certificates = await Promise.all(children.map(({ stdout }) => text(stdout)))
  expect(certificates).toEqual(certificates.map(() => readFileSync(join(place.directory, 'ca.pem'), 'utf8')))
  expect(readdirSync(place.directory).toSorted()).toEqual(FILES_OF_ONE)
})

test('rotating puts another authority in its place', async () => {
  const place = newPlace()
  const first = await openAuthority(place, TERMS)
  const second = await rotateAuthority(place, TERMS)
  expect(second.certificatePem).not.toBe(first.certificatePem)
  expect((await openAuthority(place, TERMS)).certificatePem).toBe(second.certificatePem)
  expect(readFileSync(join(place.directory, 'ca.pem'), 'utf8')).toBe(second.certificatePem)
  expect(readFileSync(join(place.directory, 'bundle.pem'), 'utf8')).not.toContain(first.certificatePem)
  expect(modeOf(join(place.directory, 'authority.pem'))).toBe('600')
})

test('what wget, apt and Java are to read says the same as the bundle, after a rotation too', async () => {
  const place = newPlace()
  const bundle = join(place.directory, 'bundle.pem')
  for (const act of [openAuthority, rotateAuthority]) {
    await act(place, TERMS)
    const contents = clientFileContents(bundle, readFileSync(bundle, 'utf8'))
    expect(new Set(contents.keys())).toEqual(new Set(Object.values(clientFilesOf(bundle))))
    for (const [file, content] of contents) {
      expect(readFileSync(file).equals(Buffer.from(content)), file).toBe(true)
      expect(modeOf(file)).toBe('644')
    }
  }
})

test('rotating creates the first authority as well', async () => {
  const place = newPlace()
  const { certificatePem } = await rotateAuthority(place, TERMS)
  expect(await readCertificate(place.directory)).toBe(certificatePem)
})

test('reading the certificate creates nothing', async () => {
  const { directory } = newPlace()
  await expect(readCertificate(directory)).rejects.toThrow('`sallyport serve` creates it')
  mkdirSync(directory, { mode: 0o700 })
  await expect(readCertificate(directory)).rejects.toThrow('authority.pem does not exist: `sallyport serve` creates it')
  expect(readdirSync(directory)).toEqual([])
})

test.skipIf(!IS_ROOT)('root reads the certificate of another user, and serves with no such authority', async () => {
  const place = newPlace()
  const { certificatePem } = await openAuthority(place, TERMS)
  for (const name of ['.', 'authority.pem']) chownSync(join(place.directory, name), 1234, 1234)
  expect(await readCertificate(place.directory)).toBe(certificatePem)
  await expect(openAuthority(place, TERMS)).rejects.toThrow('belongs to uid 1234: chown')
  // A key that the owner of its directory did not make.
  chownSync(join(place.directory, 'authority.pem'), 1235, 1234)
  await expect(readCertificate(place.directory)).rejects.toThrow('belongs to uid 1235, who may know the key')
})

const PLACES: readonly (readonly [string, (directory: string) => void, RegExp])[] = [
  ['a directory open to others', (at) => mkdirSync(at, { mode: 0o755 }), /is open to other users: chmod 700/],
  ['a directory of others', (at) => foreign(at), IS_ROOT ? /belongs to uid 1234: chown/ : /is open to other users/],
  ['a link to a directory', (at) => linked(at), /is a symbolic link: name the directory it leads to/],
  ['a file', (at) => writeFileSync(at, '', { mode: 0o600 }), /is no directory: name one/],
  ['a directory without a parent', (at) => remove(dirname(at)), /does not exist: create it/],
]

test.each(PLACES)('F08: refuses %s', async (_, arrange, message) => {
  const { directory } = newPlace()
  arrange(directory)
  await expect(openAuthority({ directory }, TERMS)).rejects.toThrow(message)
})

test('F08: refuses a link to a directory also when its path ends in a slash', async () => {
  const { directory } = newPlace()
  linked(directory)
  await expect(openAuthority({ directory: `${directory}/` }, TERMS)).rejects.toThrow('is a symbolic link')
})

const ROTATE = 'run `sallyport ca rotate --config FILE`, and hand out the new certificate'

type Damage = readonly [string, (file: string) => unknown, string]

const OF_OTHERS: Damage = [
  'of others',
  (file) => chownSync(file, 1234, 1234),
  'belongs to uid 1234, who may know the key',
]

const FILES: readonly Damage[] = [
  [
    'that others may read',
    (file) => chmodSync(file, 0o640),
    `was open to other users, who may know the key: ${ROTATE}`,
  ],
  // Whoever is not root can give nothing away.
  ...(IS_ROOT ? [OF_OTHERS] : []),
  ['that is a link', (file) => linkedFile(file), 'is a symbolic link'],
  ['that is a directory', (file) => [rmSync(file), mkdirSync(file)], 'is no regular file'],
  ['without a key', (file) => edit(file, /PRIVATE/g, 'PUBLIC'), 'is damaged'],
  ['that is cut off', (file) => edit(file, /.{9}\n-----END CERTIFICATE-----/, ''), 'is damaged'],
  ['with one letter changed', (file) => edit(file, /MI/g, 'MA'), `is damaged: restore it, or ${ROTATE}`],
  ['that is empty', (file) => writeFileSync(file, ''), 'is damaged'],
  ['that is huge', (file) => writeFileSync(file, Buffer.alloc(2 ** 21)), 'has more than 1048576 bytes'],
]

test.each(FILES)('F08: refuses a file %s, and says nothing of what is in it', async (_, damage, message) => {
  const place = newPlace()
  await openAuthority(place, TERMS)
  const file = join(place.directory, 'authority.pem')
  damage(file)
  const refusal = await openAuthority(place, TERMS).catch((error: unknown) => error)
  expect(refusal).toMatchObject({ message: expect.stringContaining(`${file} ${message}`) })
  expect(String(refusal)).not.toMatch(/BEGIN|MI[A-Z]/)
})

test('refuses the key of another certificate, and the certificate of a server', async () => {
  const [one, other] = [await foundRoot(TERMS), await foundRoot(TERMS)]
  const server = await makeSelfSigned(['api.test'])
  for (const pair of [one.key + other.cert, server.key + server.cert])
    await expect(openAuthority(placeWith(pair), TERMS)).rejects.toThrow('is damaged')
})

test('refuses an authority that has expired, and one from which a host is missing', async () => {
  const clock = new HandClock()
  const place = newPlace()
  await openAuthority(place, { ...TERMS, now: () => clock.now() })
  await expect(openAuthority(place, { ...TERMS, hosts: ['other.test'] })).rejects.toThrow(`was made for other hosts`)
  clock.advance(397 * 86_400_000)
  const late = openAuthority(place, { ...TERMS, now: () => clock.now() })
  await expect(late).rejects.toThrow(/authority.pem expired on 20\d\d-.*: run `sallyport ca rotate --config FILE`, and/)
})

test('refuses a bundle where others may write, where nothing is, and in the place of the key', async () => {
  const open = newDirectory()
  chmodSync(open, 0o777)
  const place = newPlace()
  const refused = (bundle: string) => expect(openAuthority({ ...place, bundle }, TERMS)).rejects
  await refused(join(open, 'roots.pem')).toThrow('others may write to')
  await refused(join(open, 'nowhere', 'at-all', 'roots.pem')).toThrow('cannot be used (ENOENT)')
  await refused(join(place.directory, 'authority.pem')).toThrow('is a file of the authority: name another')
  await refused(place.directory).toThrow('cannot be written')
  chmodSync(open, 0o755)
  if (IS_ROOT) chownSync(open, 1234, 1234)
  if (IS_ROOT) await refused(join(open, 'roots.pem')).toThrow('belongs to uid 1234, who could replace')
})

test('rotating mends whatever file is there', async () => {
  const place = placeWith((await makeAuthority()).certPem)
  const { certificatePem } = await rotateAuthority(place, TERMS)
  expect((await openAuthority(place, TERMS)).certificatePem).toBe(certificatePem)
})

function newDirectory(): string {
  const directory = privateDirectory()
  onTestFinished(() => remove(directory))
  return directory
}

function newPlace(): CaPlace {
  return { directory: join(newDirectory(), 'ca') }
}

function placeWith(content: string): CaPlace {
  const place = newPlace()
  mkdirSync(place.directory, { mode: 0o700 })
  writeFileSync(join(place.directory, 'authority.pem'), content, { mode: 0o600 })
  return place
}

function starting(directory: string): ChildProcessByStdio<Writable, Readable, null> {
  const script = new URL('start.ts', import.meta.url).pathname
  const child = spawn(process.execPath, [script, directory], { stdio: ['pipe', 'pipe', 'inherit'] })
  onTestFinished(() => void child.kill())
  return child
}

function foreign(directory: string): void {
  mkdirSync(directory, { mode: IS_ROOT ? 0o700 : 0o755 })
  if (IS_ROOT) chownSync(directory, 1234, 1234)
}

function linked(directory: string): void {
  mkdirSync(`${directory}.real`, { mode: 0o700 })
  symlinkSync(`${directory}.real`, directory)
}

function linkedFile(file: string): void {
  renameSync(file, `${file}.real`)
  symlinkSync(`${file}.real`, file)
}

function edit(file: string, pattern: RegExp, replacement: string): void {
  writeFileSync(file, readFileSync(file, 'utf8').replace(pattern, replacement))
}

function modeOf(path: string): string {
  return (statSync(path).mode & 0o777).toString(8)
}
