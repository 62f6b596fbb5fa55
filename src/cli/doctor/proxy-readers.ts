import { environmentLine } from './environment-line.ts'
import type { Told } from './finding.ts'
import { isInstalled } from './probe.ts'
import type { Site } from './site.ts'

/** Installed clients that read no proxy variable until they are told to, and here are not. */
export function examineReaders(site: Pick<Site, 'env' | 'loaded'>): readonly Told[] {
  const { env } = site
  return READERS.filter(({ name, isTold }) => isInstalled(name, env) && !isTold(env)).map(({ name, says }) => ({
    subject: name,
    state: 'warning',
    says,
    remedy: environmentLine(site),
  }))
}

interface Reader {
  readonly name: string
  isTold(env: NodeJS.ProcessEnv): boolean
  readonly says: string
}

const READERS: readonly Reader[] = [
  {
    name: 'node',
    isTold: ({ NODE_USE_ENV_PROXY }) => NODE_USE_ENV_PROXY === '1',
    says: 'reads the proxy variables only where NODE_USE_ENV_PROXY is 1',
  },
  {
    name: 'java',
    isTold: ({ JAVA_TOOL_OPTIONS = '' }) => JAVA_TOOL_OPTIONS.includes('-Dhttps.proxyHost='),
    says: 'reads no proxy variable: JAVA_TOOL_OPTIONS has to say -Dhttps.proxyHost',
  },
]
