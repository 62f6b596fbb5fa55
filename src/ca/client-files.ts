import { lstat, readFile } from 'node:fs/promises'
import { javaTruststore } from './java-truststore.ts'
import { ROOT_NAME } from './root.ts'

/** Files for clients that no variable gives a PEM bundle. They lie beside it, under its name, and say the same. */
export interface ClientFiles {
  /** JKS, password "changeit". */
  readonly truststore: string
  /** For the variable WGETRC, which takes the place of the user's own file. */
  readonly wgetrc: string
  /** For the variable APT_CONFIG, which is read besides everything else. */
  readonly aptConfig: string
}

/** Where they are. For a bundle of its own name they have that name, too: its directory may hold files of others. */
export function clientFilesOf(bundle: string): ClientFiles {
  const stem = bundle.replace(/\.(?:pem|crt)$/, '')
  return { truststore: `${stem}.jks`, wgetrc: `${stem}.wgetrc`, aptConfig: `${stem}.apt.conf` }
}

/** What is in them, by path. `pem`: the text of the bundle. */
export function clientFileContents(bundle: string, pem: string): ReadonlyMap<string, string | Buffer> {
  const { truststore, wgetrc, aptConfig } = clientFilesOf(bundle)
  return new Map<string, string | Buffer>([
    [truststore, javaTruststore(pem)],
    [wgetrc, wgetrcOf(bundle)],
    [aptConfig, aptConfigOf(bundle)],
  ])
}

/** Refuses files there that say anything else than ours do. @throws Error in words */
export async function checkClientFiles(bundle: string): Promise<void> {
  const { truststore, wgetrc, aptConfig } = clientFilesOf(bundle)
  await check(truststore, (text) => text.includes(ROOT_NAME))
  await check(wgetrc, (text) => /^ca_certificate = [^\n]*\n$/.test(text))
  await check(aptConfig, (text) => /^Acquire::https::CaInfo "[^"\n]*";\n$/.test(text))
}

async function check(path: string, isOurs: (text: string) => boolean): Promise<void> {
  const found = await lstat(path).catch(() => undefined)
  if (!found?.isFile() || found.size === 0) return
  if (!isOurs(await readFile(path, 'latin1').catch(() => '')))
    throw new Error(`${path} was not written by Sallyport: name another directory or bundle in "ca", or remove it`)
}

/** The line by which wget trusts a bundle. */
export function wgetrcOf(bundle: string): string {
  return `ca_certificate = ${bundle}\n`
}

/** The line by which apt does. */
export function aptConfigOf(bundle: string): string {
  return `Acquire::https::CaInfo "${bundle}";\n`
}
