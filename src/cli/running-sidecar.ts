import { readFile } from 'node:fs/promises'
import { codeOf } from '../wire/opening.ts'
import { type Sidecar, userinfoOf } from './sidecar.ts'

/** Where a sidecar is that runs already, and what to show it. */
export interface Whereabouts {
  /** `http://NAME@HOST:PORT` */
  readonly proxy: string
  /** The file of the caller's key. */
  readonly keyFile: string
  /** PEM file: its authority, or its whole bundle. */
  readonly ca: string | undefined
}

/**
 * A sidecar that somebody else runs: nothing is opened here.
 * @throws Error in words
 */
export async function findSidecar({ proxy, keyFile, ca }: Whereabouts): Promise<Sidecar> {
  const { name, address } = parseProxy(proxy)
  const key = (await read(keyFile, 'the file that holds the key')).replace(/\r?\n$/, '')
  if (key === '') throw new Error(`${keyFile} is empty: use the file that holds the key`)
  return {
    address,
    userinfo: userinfoOf(name, key),
    certificatePem: ca === undefined ? undefined : await read(ca, 'a PEM file of certificates'),
    placeholders: {},
    withheld: [],
    hosts: [],
    // They are in its own record.
    refusals: () => [],
    close: () => Promise.resolve(),
  }
}

function parseProxy(text: string): { name: string; address: string } {
  const url = URL.parse(text)
  const isBare = url?.protocol === 'http:' && url.pathname === '/' && url.search === '' && url.hash === ''
  if (!isBare || url.username === '' || url.password !== '') {
    // What was written is not repeated: it may hold a key.
    throw new Error('use --proxy http://NAME@127.0.0.1:15001; the key goes into a file, named with --key-file')
  }
  return { name: decodeURIComponent(url.username), address: `${url.hostname}:${url.port || '80'}` }
}

function read(file: string, what: string): Promise<string> {
  return readFile(file, 'utf8').catch((error: unknown) => {
    throw new Error(`${file} cannot be read (${codeOf(error)}): use ${what}`)
  })
}
