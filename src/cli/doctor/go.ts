import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { bundleWith } from '../../ca/bundle.ts'
import { inShell } from '../../forms/in-shell.ts'
import { holdsCertificate } from '../../wire/trust.ts'
import type { Told } from './finding.ts'
import { isInstalled } from './probe.ts'

/** Programs in Go are built elsewhere, so whom they would trust is read where they would. Nothing where there is no Go. */
export async function goTold(
  certificate: string,
  { bundle }: { readonly bundle: string },
  env: NodeJS.ProcessEnv,
): Promise<readonly Told[]> {
  if (!isInstalled('go', env)) return []
  const subject = 'go'
  const isTrusted = (await rootsOf(env)).some((pem) => holdsCertificate(pem, certificate))
  if (isTrusted) return [{ subject, state: 'ok', says: 'trusts the authority' }]
  const remedy = `export SSL_CERT_FILE=${inShell(bundle)}`
  return [{ subject, state: 'failed', says: 'the authority is not among those that Go reads', remedy }]
}

/** @see https://go.dev/src/crypto/x509/root_unix.go */
async function rootsOf({ SSL_CERT_FILE: file, SSL_CERT_DIR: directories = '' }: NodeJS.ProcessEnv): Promise<string[]> {
  const bundle = await bundleWith('', file || undefined).catch(() => '')
  const lists = await Promise.all(directories.split(':').filter(Boolean).map(filesIn))
  return [bundle, ...lists.flat()]
}

async function filesIn(directory: string): Promise<string[]> {
  const names = await readdir(directory).catch(() => [])
  return Promise.all(names.map((name) => readFile(join(directory, name), 'utf8').catch(() => '')))
}
