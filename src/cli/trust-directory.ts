import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bundleWith } from '../ca/bundle.ts'
import { aptConfigOf, wgetrcOf } from '../ca/client-files.ts'
import { javaTruststore } from '../ca/java-truststore.ts'
import { codeOf } from '../wire/opening.ts'
import type { TrustFiles } from './child-environment.ts'
import { ownPrefix, sweep } from './left-behind.ts'

/** Variables that replace the list of authorities, so that what they name is what the user trusts already. */
const REPLACING = ['SSL_CERT_FILE', 'REQUESTS_CA_BUNDLE', 'CURL_CA_BUNDLE', 'GIT_SSL_CAINFO', 'AWS_CA_BUNDLE']

/**
 * Writes what makes every client trust this authority beside those it trusts already, into a directory that goes when this
 * process does, whatever ends it but SIGKILL: what that leaves behind, the next one sweeps up. Other users may read the
 * certificates: apt verifies as `_apt`.
 * @throws Error in words
 */
export async function writeTrust(certificatePem: string, env: NodeJS.ProcessEnv): Promise<Required<TrustFiles>> {
  const bundle = await bundleFor(certificatePem, env)
  sweep(tmpdir())
  const directory = makeDirectory()
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }))
  const file = join(directory, 'bundle.pem')
  const files = {
    bundle: file,
    truststore: put(join(directory, 'truststore.jks'), javaTruststore(bundle), 0o644),
    wgetrc: put(join(directory, 'wgetrc'), `${usersWgetrc(env)}\n${wgetrcOf(file)}`, 0o600),
    aptConfig: put(join(directory, 'apt.conf'), `${usersAptConfig(env)}\n${aptConfigOf(file)}`, 0o600),
  }
  put(file, bundle, 0o644)
  chmodSync(directory, 0o755)
  return files
}

function makeDirectory(): string {
  try {
    return mkdtempSync(join(tmpdir(), ownPrefix()))
  } catch (error) {
    throw new Error(`${tmpdir()} cannot be used (${codeOf(error)}): set TMPDIR to a directory that can be written to`, {
      cause: error,
    })
  }
}

/** REQUESTS_CA_BUNDLE may name a directory. */
function bundleFor(certificatePem: string, env: NodeJS.ProcessEnv): Promise<string> {
  const base = REPLACING.map((name) => env[name]).find(
    (path) => path && statSync(path, { throwIfNoEntry: false })?.isFile(),
  )
  // Node adds this one to what it trusts, so it is added here too.
  const more = textOf(env['NODE_EXTRA_CA_CERTS']) ?? ''
  return bundleWith(`${certificatePem}\n${more}`, base)
}

/** WGETRC takes the place of the user's own file, which may hold passwords: hence its mode. */
function usersWgetrc(env: NodeJS.ProcessEnv): string {
  return textOf(env['WGETRC'] ?? (env['HOME'] && join(env['HOME'], '.wgetrc'))) ?? ''
}

function usersAptConfig(env: NodeJS.ProcessEnv): string {
  return textOf(env['APT_CONFIG']) ?? ''
}

/** Undefined where there is nothing to read: a client would go on without it, too. */
function textOf(file: string | undefined): string | undefined {
  try {
    return file ? readFileSync(file, 'utf8') : undefined
  } catch {
    return undefined
  }
}

function put(file: string, content: string | Buffer, mode: number): string {
  writeFileSync(file, content, { mode })
  // The umask has had a say.
  chmodSync(file, mode)
  return file
}
