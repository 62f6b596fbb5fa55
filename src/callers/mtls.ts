import type { Evidence } from '../core/ask.ts'
import type { Certificate } from '../core/certificate.ts'
import { parseHost } from '../core/host.ts'
import { z } from '../forms/zod.ts'
import { PURPOSES } from '../wire/certificate.ts'
import type { CallerKind, Finding, Named, Proved } from './method.ts'
import { compileSanTemplate, faultOfSanTemplate, type SanTemplate, type TemplateFields } from './san-template.ts'

/** No wildcard is among them: a certificate for any host of a domain is not a caller. */
const FIELDS: TemplateFields = { dns: /[a-z0-9_-]+(?:\.[a-z0-9_-]+)*/, email: /[A-Za-z0-9._-]+@[a-z0-9.-]+/ }

const uri = z
  .string()
  .regex(/^[a-z][a-z0-9+.-]*:[!-~]{1,2048}$/, 'use a URI as it stands in the certificate, as in "urn:example:batch"')
  .refine(
    (text) => !text.startsWith('spiffe://'),
    'use a caller of kind spiffe: a trust domain has its own authorities',
  )

const schema = z
  .strictObject({
    kind: z.literal('mtls'),
    dns: z
      .string()
      .refine((name) => parseHost(name) === name, 'use a plain host name such as "billing.example.com"')
      .optional()
      .meta({ description: 'a DNS name of the certificate, compared whole; a wildcard is nobody’s' }),
    uri: uri.optional().meta({ description: 'a URI of the certificate, compared whole' }),
    email: z
      .string()
      .regex(
        /^[!-?A-~]{1,64}@[a-z0-9.-]{1,253}$/,
        'use a mailbox with its domain in lower case, as in "ops@example.com"',
      )
      .optional()
      .meta({ description: 'an e-mail address of the certificate, compared whole' }),
    fingerprint: z
      .string()
      .regex(
        /^sha256:[0-9a-f]{64}$/,
        'use "sha256:" and 64 lower-case hex digits, as `openssl x509 -in FILE -outform DER | sha256sum` prints them',
      )
      .optional()
      .meta({ description: 'SHA-256 of the certificate itself; beats every name' }),
    name: z
      .string()
      .superRefine((template, context) => {
        const fault = faultOfSanTemplate(template, FIELDS)
        if (fault !== undefined) context.addIssue({ code: 'custom', message: fault })
      })
      .optional()
      .meta({
        description:
          'makes a caller of each certificate that has one DNS name (`{dns}`) or one e-mail address (`{email}`), as in `mesh/{dns}`; grants name the result',
      }),
  })
  .refine(
    ({ kind: _kind, ...one }) => Object.values(one).filter((value) => value !== undefined).length === 1,
    'use exactly one of dns, uri, email, fingerprint and name',
  )
  .meta({
    description:
      'a client certificate that `tls.clientCa` of the door vouches for, with the extended key usage clientAuth; judged at every request',
  })

type Settings = z.infer<typeof schema>

/** A caller that holds the key of a certificate. */
export const mtls: CallerKind<typeof schema> = {
  schema,
  proofIs: 'place',
  faults(callers) {
    const seen = new Map<string, string>()
    return callers.flatMap(({ name, settings }) => {
      const [key] = keysOf(settings)
      const other = key === undefined ? undefined : seen.get(key)
      if (key !== undefined) seen.set(key, name)
      return other === undefined
        ? []
        : [{ caller: name, message: `use another name or fingerprint: ${other} has the same` }]
    })
  },
  nameMaker: ({ name }) => (name === undefined ? undefined : 'clientCa'),
  mayName: (name, { name: template }) => template !== undefined && compileSanTemplate(template, FIELDS).mayMake(name),
  build(callers, { clock }) {
    const index = new Index(callers)
    return { kind: 'mtls', identify: (evidence) => identify(evidence, index, clock.now()) }
  },
}

function identify({ certificate }: Evidence, index: Index, now: number): Finding {
  if (!certificate) return 'silent'
  if (certificate.leaf === undefined) return refused(`the certificate cannot be read: ${certificate.unreadable}`)
  const { leaf } = certificate
  const [found, ...others] = index.find(leaf)
  if (found === undefined) return 'silent'
  // Which one was meant would be a guess.
  if (others.length > 0) return refused(`the certificate names several callers: ${inWords([found, ...others])}`)
  // A key that was certified for a server, or for mail, was not given to anybody to call with.
  if (!leaf.extendedKeyUses?.includes(PURPOSES.clientAuth)) return refused('the certificate is not one for clients')
  if (leaf.authority) return refused('the certificate is an authority, which is nobody')
  const fault = certificate.faultAt(now)
  return fault === undefined
    ? { ...found, details: detailsOf(leaf) }
    : refused(`the certificate proves nobody: ${fault}`)
}

/** Somebody whom a certificate could mean. */
type Found = Pick<Proved, 'caller' | 'madeBy'>

function inWords(found: readonly Found[]): string {
  return found.map(({ caller }) => caller).join(', ')
}

function refused(reason: string): Finding {
  return { wrong: 'certificate-unknown', reason }
}

function detailsOf({ fingerprint, x509 }: Certificate): Readonly<Record<string, string>> {
  return { certificate: fingerprint, serial: x509.serialNumber.toLowerCase() }
}

interface Template {
  /** The caller of the settings that has it. */
  readonly by: string
  readonly template: SanTemplate
}

/** Callers by what their certificates have in them. */
class Index {
  readonly #byKey: ReadonlyMap<string, string>
  readonly #templates: readonly Template[]

  constructor(callers: readonly Named<Settings>[]) {
    this.#byKey = new Map(callers.flatMap(({ name, settings }) => keysOf(settings).map((key) => [key, name])))
    this.#templates = callers.flatMap(({ name: by, settings: { name } }) =>
      name === undefined ? [] : [{ by, template: compileSanTemplate(name, FIELDS) }],
    )
  }

  /** Everybody whom this certificate could mean, by what is most exact in it. */
  find(leaf: Certificate): readonly Found[] {
    const pinned = this.#byKey.get(leaf.fingerprint)
    if (pinned !== undefined) return [{ caller: pinned }]
    const named = unique(namesOf(leaf).flatMap((key) => this.#byKey.get(key) ?? []))
    if (named.length > 0) return named.map((caller) => ({ caller }))
    return this.#templates.flatMap(({ by, template }) => {
      const caller = madeOf(leaf, template)
      return caller === undefined ? [] : [{ caller, madeBy: by }]
    })
  }
}

function madeOf({ dnsNames, emails }: Certificate, template: SanTemplate): string | undefined {
  const only = (names: readonly string[]) => (names.length === 1 ? names[0] : undefined)
  const email = only(emails)
  return template.nameOf({ dns: only(dnsNames)?.toLowerCase(), email: email && mailbox(email) })
}

function keysOf({ dns, uri: address, email, fingerprint, name }: Settings): string[] {
  const keys = [
    dns === undefined ? undefined : `dns ${dns}`,
    address === undefined ? undefined : `uri ${address}`,
    email === undefined ? undefined : `email ${email}`,
    fingerprint,
    name === undefined ? undefined : `name ${name}`,
  ]
  return keys.filter((key) => key !== undefined)
}

function namesOf({ dnsNames, uris, emails }: Certificate): string[] {
  return [
    // Case means nothing in a DNS name. @see RFC 4343
    ...dnsNames.map((name) => `dns ${name.toLowerCase()}`),
    ...uris.map((name) => `uri ${name}`),
    ...emails.map((name) => `email ${mailbox(name)}`),
  ]
}

/** The domain is a DNS name; before the `@` case may mean something. */
function mailbox(email: string): string {
  return email.replace(/@[^@]*$/, (domain) => domain.toLowerCase())
}

function unique(names: readonly string[]): readonly string[] {
  return [...new Set(names)]
}
