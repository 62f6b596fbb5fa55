import { type Loaded, loadSettings } from '../settings/load.ts'

/** What the other two processes must be for `config/playground.yaml` to work: names and ports are said there alone. */
export interface Plan {
  readonly issuer: string
  readonly clientId: string
  readonly resource: string
  readonly scope: string
  /** Name and port of the API. */
  readonly apiHost: string
  readonly apiPort: number
  /** The caller that shows a key. */
  readonly caller: string
}

/**
 * Reads the plan off the settings of the playground, so that whoever changes a port there changes it everywhere.
 * @throws SettingsError; Error when what the playground needs is gone from the file
 */
export async function readPlan(file: string): Promise<Plan> {
  const { settings } = await loadSettings(file)
  const [connection] = Object.values(settings.connections)
  const { credential, hosts, port } = needed(connection, 'a connection', file)
  if (credential.kind !== 'client-credentials') throw gone('a credential of kind client-credentials', file)
  const { issuer, clientId, scope, tokenParams } = credential
  return {
    issuer: needed(issuer, 'credential.issuer', file),
    clientId,
    resource: String(needed(tokenParams['resource'], 'tokenParams.resource', file)),
    scope: needed(scope, 'credential.scope', file),
    apiHost: needed(hosts[0], 'a host', file),
    apiPort: needed(port, 'a port', file),
    caller: needed(keyHolder(settings), 'a caller of kind api-key', file),
  }
}

function keyHolder({ callers }: Loaded['settings']): string | undefined {
  return Object.keys(callers).find((name) => callers[name]?.kind === 'api-key')
}

function needed<T>(value: T | undefined, what: string, file: string): T {
  if (value === undefined) throw gone(what, file)
  return value
}

function gone(what: string, file: string): Error {
  return new Error(`${file} says nothing of ${what} any more, which the playground needs: git checkout ${file}`)
}
