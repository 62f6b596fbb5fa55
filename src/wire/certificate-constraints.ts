import type { Certificate } from '../core/certificate.ts'
import { NAME_TAGS, textOf } from './certificate.ts'
import { contentOf, readDer, TAGS } from './certificate-der.ts'

interface Constraints {
  readonly permitted: readonly Subtree[]
  readonly excluded: readonly Subtree[]
}

/** Names of one type: those that `covers` says. */
interface Subtree {
  readonly tag: number
  covers(name: string): boolean
}

const SUBTREES = { permitted: 0xa0, excluded: 0xa1 } as const

/**
 * Whether the name constraints of an authority let this certificate have the names that it has: DNS, e-mail and URI names.
 * An authority that is constrained in another type is not understood, and vouches for nobody. Undefined: they do.
 * @see RFC 5280 section 4.2.1.10
 */
export function faultOfNames({ nameConstraints }: Certificate, below: Certificate): string | undefined {
  if (!nameConstraints) return undefined
  try {
    const { permitted, excluded } = readConstraints(nameConstraints)
    const isFit = namesOf(below).every(([tag, name]) => {
      const among = permitted.filter((subtree) => subtree.tag === tag)
      if (excluded.some((subtree) => subtree.tag === tag && subtree.covers(name))) return false
      return among.length === 0 || among.some((subtree) => subtree.covers(name))
    })
    return isFit ? undefined : 'a name in it is outside the name constraints of its authority'
  } catch {
    return 'an authority above it has name constraints of a kind that is not understood'
  }
}

function namesOf({ dnsNames, emails, uris }: Certificate): (readonly [tag: number, name: string])[] {
  return [
    ...dnsNames.map((name) => [NAME_TAGS.dns, name] as const),
    ...emails.map((name) => [NAME_TAGS.email, name] as const),
    ...uris.map((name) => [NAME_TAGS.uri, name] as const),
  ]
}

function readConstraints(value: Buffer): Constraints {
  const parts = readDer(contentOf(value, TAGS.sequence))
  const of = (wanted: number) =>
    parts.filter(({ tag }) => tag === wanted).flatMap(({ content }) => readDer(content).map(subtreeOf))
  if (parts.some(({ tag }) => tag !== SUBTREES.permitted && tag !== SUBTREES.excluded)) throw new Error('odd')
  return { permitted: of(SUBTREES.permitted), excluded: of(SUBTREES.excluded) }
}

function subtreeOf({ tag, content }: { readonly tag: number; readonly content: Buffer }): Subtree {
  const [base, ...bounds] = readDer(content)
  // A minimum or a maximum has no meaning that anybody agrees on; RFC 5280 forbids both.
  if (tag !== TAGS.sequence || !base || bounds.length > 0) throw new Error('a bounded subtree')
  const hostOf = HOSTS.get(base.tag)
  if (!hostOf) throw new Error('a type of names that is not read here')
  const text = base.content.length === 0 ? '' : textOf(base.content).toLowerCase()
  return { tag: base.tag, covers: (name) => isBelow(name.toLowerCase(), text, hostOf, base.tag) }
}

/** Where the host is in a name of each type; undefined: in none. */
const HOSTS = new Map<number, (name: string) => string | undefined>([
  [NAME_TAGS.dns, (name) => name],
  [NAME_TAGS.email, (name) => /@([^@]+)$/.exec(name)?.[1]],
  [NAME_TAGS.uri, (name) => /^[^:/?#]+:\/\/(?:[^@/?#]*@)?([^:/?#]+)/.exec(name)?.[1]],
])

/** A DNS constraint covers what is below it too; those of the other types do so only with a dot in front. */
function isBelow(name: string, text: string, hostOf: (name: string) => string | undefined, tag: number): boolean {
  if (tag === NAME_TAGS.email && text.includes('@')) return name === text
  const host = hostOf(name)
  if (host === undefined) return false
  if (text === '') return true
  if (text.startsWith('.')) return host.endsWith(text)
  return host === text || (tag === NAME_TAGS.dns && host.endsWith(`.${text}`))
}
