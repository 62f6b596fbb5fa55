import { environmentLine } from './environment-line.ts'
import { examine, type Told } from './finding.ts'
import { nodeVersionTold } from './node-version.ts'
import { isInstalled } from './probe.ts'
import type { Site } from './site.ts'

type Place = Pick<Site, 'env' | 'loaded'>

/** Installed clients that read no proxy variable until they are told to, or do not at all. */
export async function examineReaders(site: Place): Promise<readonly Told[]> {
  return [...(await nodeTold(site)), ...javaTold(site)]
}

async function nodeTold(site: Place): Promise<readonly Told[]> {
  const { env } = site
  if (!isInstalled('node', env)) return []
  return examine('node', async (signal) => {
    const old = await nodeVersionTold(env, signal)
    if (old) return old
    if (env['NODE_USE_ENV_PROXY'] === '1') return []
    const says = 'reads the proxy variables only where NODE_USE_ENV_PROXY is 1'
    return { subject: 'node', state: 'warning', says, remedy: environmentLine(site) }
  })
}

function javaTold(site: Place): readonly Told[] {
  const { env, loaded } = site
  if (!isInstalled('java', env)) return []
  if (!env['JAVA_TOOL_OPTIONS']?.includes('-Dhttps.proxyHost=')) {
    const says = 'reads no proxy variable: JAVA_TOOL_OPTIONS has to say -Dhttps.proxyHost'
    return [{ subject: 'java', state: 'warning', says, remedy: environmentLine(site) }]
  }
  const isKeyed = loaded.settings.listeners.some(({ kind, caller }) => kind === 'forward' && caller === undefined)
  return isKeyed ? [{ subject: 'java', state: 'warning', says: JAVA_KEYLESS, remedy: JAVA_REMEDY }] : []
}

const JAVA_KEYLESS = 'takes no key from a variable, so that a program without an Authenticator is answered by 407'
const JAVA_REMEDY =
  'give its HttpClient an Authenticator with the user and password of HTTP_PROXY, or the app a base URL at a reverse listener'
