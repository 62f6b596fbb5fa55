import { parseJsonObject } from '../../wire/json-object.ts'
import { senseless, type Told } from '../told-token.ts'

/**
 * What a command printed: the `ExecCredential` of kubectl, `{ token, expiresAt }`, or the members of a token answer.
 * @throws Problem `credential-failed`, which may be tried again soon
 * @see https://kubernetes.io/docs/reference/config-api/client-authentication.v1/
 */
export function readExecAnswer(output: string, who: string): Pick<Told, 'token' | 'expiry'> {
  const members = parseJsonObject(output)
  if (!members)
    throw senseless(`${who} printed something that is not a JSON object: let it print ${FORM}, or an ExecCredential`)
  if (members.get('kind') === 'ExecCredential') return readStatus(members.get('status'), who)
  const [name, ...others] = TOKENS.filter((one) => members.has(one))
  if (name === undefined || others.length > 0)
    throw senseless(`${who} printed no ExecCredential, and not exactly one of ${TOKENS.join(' and ')}`)
  return { token: members.get(name), expiry: members.get('expiresAt') ?? members.get('expires_in') }
}

const FORM = '{"token": TOKEN, "expiresAt": TIME}'
const TOKENS = ['token', 'access_token'] as const

function readStatus(status: unknown, who: string): Pick<Told, 'token' | 'expiry'> {
  const members = new Map<string, unknown>(typeof status === 'object' && status !== null ? Object.entries(status) : [])
  if (!members.has('token')) throw senseless(`${who} printed an ExecCredential without status.token`)
  return { token: members.get('token'), expiry: members.get('expirationTimestamp') }
}
