import { basename, dirname } from 'node:path'
import { interceptedHosts } from '../settings/policy.ts'
import type { Settings } from '../settings/schema.ts'
import type { TrustFiles } from './child-environment.ts'
import { type Format, KEY_IN_JSON } from './env-formats.ts'
import type { PublishedTrust } from './published-trust.ts'

/** What the notes are about. */
export interface Circumstances {
  readonly format: Format
  readonly settings: Settings
  readonly caller: string
  /** Whether this caller shows a key. */
  readonly isKeyed: boolean
  readonly published: PublishedTrust | undefined
}

/** What whoever uses the printed variables should know, one note a line. */
export function notesOf({ format, settings, caller, isKeyed, published }: Circumstances): string[] {
  return [
    ...(isKeyed ? [keyNote(format, caller), JAVA] : []),
    ...trustNotes(settings),
    ...(published?.notes ?? []),
    ...(format === 'kubernetes' ? clusterNotes(published?.trust) : []),
  ]
}

const JAVA =
  'Java takes no key from a variable: its HttpClient needs an Authenticator with the user and password of HTTP_PROXY'

function keyNote(format: Format, caller: string): string {
  const of = `the key of ${caller}; what is not a letter, a digit or one of -._~ percent-encoded`
  return format === 'json' ? `put in the place of ${KEY_IN_JSON}: ${of}` : `SALLYPORT_KEY: ${of}`
}

function trustNotes(settings: Settings): string[] {
  if (interceptedHosts(settings).length === 0) return ['no CA variables: nothing is intercepted; ask for http:// URLs']
  if (settings.ca !== 'ephemeral') return []
  return ['no CA variables: an ephemeral authority is another one at each start; use ca: { directory: DIR }']
}

function clusterNotes(trust: TrustFiles | undefined): string[] {
  const api = 'clients of the cluster itself ask for an address: add $(KUBERNETES_SERVICE_HOST) to their NO_PROXY'
  if (trust === undefined) return [api]
  const files = Object.values(trust).map((file: string) => basename(file))
  return [api, `paths are those inside the container: mount ${files.join(', ')} at ${dirname(trust.bundle)} there`]
}
