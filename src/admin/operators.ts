import type { Identify } from '../callers/identify.ts'
import type { CallerSettings } from '../callers/registry.ts'
import type { Evidence } from '../core/ask.ts'
import { ROLES, type Role } from './role.ts'
import type { OperatorSettings } from './settings.ts'

/** Who is at the admin door, as proved by a method of callers. */
export interface Operator {
  readonly name: string
  /** The kind of the proof. */
  readonly proof: string
  readonly role: Role
}

/** Finds out who is at the admin door. */
export interface Operators {
  /** Nobody could be: the settings name none. */
  readonly isEmpty: boolean
  /** Undefined: nobody that the settings name. `unverifiable`: nobody, and whoever vouches for this proof could not be asked. */
  recognize(evidence: Evidence): Promise<Operator | 'unverifiable' | undefined>
}

type Named = Readonly<Record<string, OperatorSettings>>

/**
 * One question for each role, the highest first. A name that a template makes of a token then has the role of the settings
 * that let it be made, and no table of names is needed.
 */
export function buildOperators(operators: Named, build: (proofs: Proofs) => Identify): Operators {
  const questions = ROLES.toReversed().flatMap((role) => {
    const ofRole = Object.entries(operators).filter(([, one]) => one.role === role)
    const proofs = Object.fromEntries(ofRole.map(([name, { proof }]) => [name, proof]))
    return ofRole.length === 0 ? [] : [{ role, identify: build(proofs) }]
  })
  return {
    isEmpty: questions.length === 0,
    async recognize(evidence) {
      let isUnverifiable = false
      for (const { role, identify } of questions) {
        const found = await identify(evidence)
        if (found.name !== undefined) return { name: found.name, proof: found.method, role }
        isUnverifiable ||= found.isOurs === true
      }
      return isUnverifiable ? 'unverifiable' : undefined
    },
  }
}

/** Proofs by the name of the operator. */
export type Proofs = Readonly<Record<string, CallerSettings>>

/**
 * Who operates where the settings name nobody: on a Unix socket root, and the user that Sallyport runs as; who can be one
 * of them could read its memory, too. On TCP the kernel knows nobody.
 */
export function defaultOperators(listen: string, uid: number | undefined): Named {
  if (!listen.startsWith('unix:') || uid === undefined) return {}
  const ids = [...new Set([0, uid])]
  return Object.fromEntries(ids.map((id) => [`uid-${id}`, { role: 'admin', proof: { kind: 'unix-peer', uid: id } }]))
}
