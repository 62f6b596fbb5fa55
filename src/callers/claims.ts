import { z } from '../forms/zod.ts'
import type { Members } from './token.ts'

/** Claims that have settings of their own, and are always judged. */
const OWN = new Map([
  ['iss', 'issuer'],
  ['aud', 'audience'],
  ['exp', 'clockSlackMs'],
  ['nbf', 'clockSlackMs'],
  ['iat', 'clockSlackMs'],
])

/** What one claim may have to be. */
export const claimValue = z.union([z.string().min(1), z.number(), z.boolean()])

/** What a token has to say, by the name of the claim. */
export const claimRules = z
  .record(z.string().min(1), z.union([claimValue, z.array(claimValue).min(1)]))
  .default({})
  .superRefine((rules, context) => {
    for (const name of Object.keys(rules)) {
      const setting = OWN.get(name)
      if (setting !== undefined)
        context.addIssue({ code: 'custom', path: [name], message: `leave it out: ${setting} is what judges ${name}` })
    }
  })

/** Rules as the settings say them. */
export type ClaimRules = z.infer<typeof claimRules>

type Fits = (claim: unknown) => boolean

/** Compiles rules into what finds the first claim that does not fit; undefined: all do. */
export function compileClaims(rules: ClaimRules): (claims: Members) => string | undefined {
  const all = Object.entries(rules).map(([name, wanted]) => [name, anyOf([wanted].flat().map(fitting))] as const)
  return (claims) => all.find(([name, fits]) => !eachOf(claims.get(name)).some(fits))?.[0]
}

function anyOf(options: readonly Fits[]): Fits {
  return (claim) => options.some((fits) => fits(claim))
}

/** One member of a list that fits is enough: `roles` and the like. */
function eachOf(claim: unknown): readonly unknown[] {
  return Array.isArray(claim) ? claim : [claim]
}

function fitting(wanted: string | number | boolean): Fits {
  if (typeof wanted !== 'string' || !wanted.includes('*')) return (claim) => claim === wanted
  const parts = wanted.split('*')
  return (claim) => typeof claim === 'string' && matches(claim, parts)
}

/** Each star is one character or more, of any kind. Without backtracking: the leftmost place of a part leaves the most. */
function matches(text: string, [first = '', ...rest]: readonly string[]): boolean {
  const last = rest.pop() ?? ''
  if (!text.startsWith(first)) return false
  let at = first.length
  for (const part of rest) {
    const found = text.indexOf(part, at + 1)
    if (found === -1) return false
    at = found + part.length
  }
  return text.endsWith(last) && text.length - last.length > at
}
