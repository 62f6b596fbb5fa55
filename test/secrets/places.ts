import { execFileSync } from 'node:child_process'
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { type OpenSecret, openSecret } from '../../src/secrets/open.ts'
import { SecretReference } from '../../src/secrets/reference.ts'

/** Stands for a secret that no message may hold. */
export const CANARY = 'canary'

/** Every way to spoil a file, and what is said of it. */
export const K03: readonly (readonly [string, (path: string) => void, RegExp])[] = [
  ['is missing', unlinkSync, /does not exist: create it/],
  ['is empty', (path) => truncateSync(path), /is empty/],
  ['holds nothing but a newline', (path) => writeFileSync(path, '\n'), /is empty/],
  ['is a directory', (path) => replace(path, () => mkdirSync(path)), /is a directory: name a file in it/],
  ['is a FIFO', (path) => replace(path, () => execFileSync('mkfifo', [path])), /is no regular file/],
  ['is a symbolic link out of its directory', (path) => linkOut(path), /is a symbolic link out of its directory/],
  ['is a symbolic link to nowhere', (path) => replace(path, () => symlinkSync('gone', path)), /does not exist/],
  ['may be read by the group', (path) => chmodSync(path, 0o640), /is open to other users: chmod 600/],
  ['may be read by everybody', (path) => chmodSync(path, 0o604), /is open to other users: chmod 600/],
  ['may be written by everybody', (path) => chmodSync(path, 0o602), /is open to other users: chmod 600/],
  ['has 64 KiB and a byte', (path) => writeFileSync(path, CANARY.padEnd(65_537)), /has more than 65536 bytes/],
  ['has 10 MB', (path) => writeFileSync(path, Buffer.alloc(1e7, CANARY)), /has more than 65536 bytes/],
  ['has a zero byte', (path) => writeFileSync(path, `${CANARY}\0`), /has a zero byte/],
  ['is not UTF-8', (path) => appendFileSync(path, Buffer.from([0xff])), /is not UTF-8/],
]

/** How to open a secret, where it matters to the test. */
export interface Wish {
  readonly file?: string
  readonly pollMs?: number | undefined
  readonly onFault?: (message: string) => void
}

/** Polled every 5 ms unless told otherwise. */
export async function open(directory: string, { file = 'crm', ...base }: Wish = {}): Promise<OpenSecret> {
  const secret = await openSecret(new SecretReference({ file }), { directory, pollMs: 5, ...base })
  onTestFinished(() => secret.close())
  return secret
}

/** The value in use. */
export function valueOf(secret: OpenSecret): string {
  return secret.current().secret.reveal()
}

/** A private directory with the file `crm`. */
export function setUp(content: string): { directory: string; path: string } {
  const directory = mkdtempSync(join(tmpdir(), 'secret-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  const path = join(directory, 'crm')
  writeFileSync(path, content, { mode: 0o600 })
  return { directory, path }
}

/** As kubelet's AtomicWriter lays a mount out. */
export function setUpMount(content: string, mode = 0o644): { directory: string; swap(value: string): void } {
  const directory = mkdtempSync(join(tmpdir(), 'mount-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  const data = join(directory, '..data')
  let generation = 0
  const swap = (value: string) => {
    const name = `..2026_${++generation}`
    const old = existsSync(data) ? readlinkSync(data) : undefined
    mkdirSync(join(directory, name))
    writeFileSync(join(directory, name, 'crm'), value)
    chmodSync(join(directory, name, 'crm'), mode)
    symlinkSync(name, `${data}_tmp`)
    renameSync(`${data}_tmp`, data)
    if (old !== undefined) rmSync(join(directory, old), { recursive: true })
  }
  swap(content)
  symlinkSync('..data/crm', join(directory, 'crm'))
  return { directory, swap }
}

/** Puts a new private file in the place of another, at once. */
export function renameOver(path: string, value: string): void {
  writeFileSync(`${path}.new`, value, { mode: 0o600 })
  renameSync(`${path}.new`, path)
}

/** Removes a file, then makes another of the name. */
export function replace(path: string, create: () => void): void {
  unlinkSync(path)
  create()
}

function linkOut(path: string): void {
  const { path: outside } = setUp(CANARY)
  replace(path, () => symlinkSync(outside, path))
}
