import { execFile } from 'node:child_process'
import type { Told } from './finding.ts'

/** What the Node on PATH makes of proxy variables, where that is not what NODE_USE_ENV_PROXY asks for. */
export async function nodeVersionTold(env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<Told | undefined> {
  const version = await versionOf(env, signal)
  const support = version === undefined ? 'all' : proxySupportOf(version)
  if (support === 'all') return undefined
  return { subject: 'node', state: 'warning', says: `is ${version}: ${SAYS[support]}`, remedy: REMEDY }
}

const SAYS = {
  none: 'it reads no proxy variable, whatever NODE_USE_ENV_PROXY is; 22.21, 24.5 and all later ones do',
  fetch: 'its fetch reads the proxy variables, and its http and https modules do not before 24.5',
} as const

const REMEDY = 'use a later Node for the app, or give it a base URL at a reverse listener'

/**
 * What a Node does under NODE_USE_ENV_PROXY=1. `version`: as in "24.5.0".
 * @see https://nodejs.org/en/learn/http/enterprise-network-configuration
 */
export function proxySupportOf(version: string): 'all' | keyof typeof SAYS {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major > 24 || (major === 24 && minor >= 5) || (major === 22 && minor >= 21)) return 'all'
  return major === 24 ? 'fetch' : 'none'
}

/** Undefined: what calls itself `node` does not say. */
function versionOf(env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<string | undefined> {
  return new Promise((resolve) => {
    execFile('node', ['--version'], { env, signal, encoding: 'utf8' }, (_, stdout) =>
      resolve(/^v(\d+\.\d+\.\d+)/.exec(stdout)?.[1]),
    )
  })
}
