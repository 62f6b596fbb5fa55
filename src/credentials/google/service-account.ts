import { Problem } from '../../core/problem.ts'
import { Secret } from '../../core/secret.ts'
import { parseJsonObject } from '../../wire/json-object.ts'

/** What the key file of a Google service account says. */
export interface ServiceAccount {
  readonly email: string
  readonly keyId: string
  readonly key: Secret
}

/**
 * Reads such a file. Where it sends its reader has to be where the settings send us: a file does not choose who gets what is
 * signed with its key.
 * @throws Problem `credential-failed`, which lasts; it tells nothing of the file
 */
export function readServiceAccount(file: Secret, tokenEndpoint: string | undefined): ServiceAccount {
  const members = parseJsonObject(file.reveal())
  if (members?.get('type') !== 'service_account')
    throw unusable('is no JSON object with "type": "service_account": use the key file as Google gives it out')
  const text = (name: string): string => {
    const value = members.get(name)
    if (typeof value === 'string' && value !== '') return value
    throw unusable(`has no ${name}: use the key file as Google gives it out`)
  }
  if (text('token_uri') !== tokenEndpoint)
    throw unusable('names another token_uri than the settings: compare it with tokenEndpoint')
  return { email: text('client_email'), keyId: text('private_key_id'), key: new Secret(text('private_key')) }
}

function unusable(what: string): Problem {
  return new Problem('credential-failed', { reason: `the file of serviceAccount ${what}` })
}
