import type { Clock } from '../../core/clock.ts'
import { Problem } from '../../core/problem.ts'
import type { Purpose } from '../../core/purpose.ts'
import { type LongLived, Secret } from '../../core/secret.ts'
import { longLivedOf } from '../../secrets/reference.ts'
import { valuesOf } from '../../wire/fields.ts'
import type { Credential } from '../credential.ts'
import { expiryOf } from '../expiry-of.ts'
import type { SourceTools } from '../tools.ts'
import type { Part } from '../varying.ts'
import type { SubjectSettings } from './subject-settings.ts'

/** A token as it is to be exchanged. */
export interface SubjectToken {
  readonly token: Secret
  /** Ms since the epoch, where somebody says so. */
  readonly expiresAt: number | undefined
  /** Its name and fingerprint for the audit. */
  readonly origin: LongLived
  /** The long-lived secret behind it. */
  readonly behind?: LongLived | undefined
  /** False once it was taken back. */
  readonly isGood?: (() => boolean) | undefined
  /** Another one, after an issuer has refused this; undefined when there is none. */
  renew?(): Promise<SubjectToken | undefined>
}

/** Where such tokens come from. */
export interface Subjects extends Part {
  /** As it stands now; never one that has expired. @throws Problem */
  current(purpose: Purpose | undefined): Promise<SubjectToken>
  /** Grows when what is behind it changes. */
  version(): number
  /** A later one of the same kind ends no later, so that nothing is won by another exchange. */
  readonly isFixed: boolean
}

/** Builds what the settings describe. Does no I/O. */
export function subjectsOf(settings: SubjectSettings, tools: SourceTools): Subjects {
  switch (settings.from) {
    case 'caller':
      return shown(tools.clock, 'caller', callersToken)
    case 'header':
      return shown(tools.clock, `header:${settings.header}`, (purpose) => forwardedToken(purpose, settings))
    case 'file':
      return kept(settings, tools)
    default:
      return borrowed(settings.connection, tools)
  }
}

/** The token that a caller has proved itself with. @throws Problem `identity-missing` */
export function callersToken({ caller }: Purpose): Secret {
  if (caller.token) return caller.token.secret
  throw nobody(`${caller.name} has proved itself by ${caller.method}, which is no token that could be passed on`)
}

/** Why there is nobody to act as. */
export function nobody(reason: string): Problem {
  return new Problem('identity-missing', { reason })
}

type Header = Extract<SubjectSettings, { from: 'header' }>

function forwardedToken({ caller, fields }: Purpose, { header, trustedCallers }: Header): Secret {
  if (!trustedCallers.includes(caller.name)) throw nobody(`${caller.name} is not trusted to say in ${header} who asks`)
  const [value, other] = valuesOf(fields, header)
  if (value === undefined || other !== undefined) throw nobody(`${header} has to be there once`)
  if (!/^[!-~]+$/.test(value)) throw nobody(`${header} is no token`)
  return new Secret(value)
}

/** What comes with the ask: whoever shows another token is another subject. */
function shown(clock: Clock, name: string, tokenOf: (purpose: Purpose) => Secret): Subjects {
  return {
    isFixed: true,
    isPerCaller: () => true,
    keyOf(purpose) {
      const token = tokenOf(purpose)
      // Callers are known for a while longer, by the slack that clocks are allowed.
      if (isOver(expiryOf(token), clock)) throw nobody(`the token of ${purpose.caller.name} has expired`)
      return token.digest().toString('base64url')
    },
    async current(purpose) {
      const token = tokenOf(needed(purpose))
      const expiresAt = expiryOf(token)
      if (isOver(expiresAt, clock)) throw expired(name)
      return { token, expiresAt, origin: { name, secret: token, storedVersion: undefined } }
    },
    version: () => 0,
  }
}

function kept({ token: reference }: Extract<SubjectSettings, { from: 'file' }>, tools: SourceTools): Subjects {
  const held = tools.secret(reference)
  return {
    isFixed: false,
    isPerCaller: () => false,
    keyOf: () => undefined,
    async current() {
      const { secret: token } = held.current()
      const expiresAt = expiryOf(token)
      const origin = longLivedOf(reference, held)
      if (isOver(expiresAt, tools.clock)) throw expired(origin.name)
      return { token, expiresAt, origin, behind: origin }
    },
    version: () => held.current().version,
  }
}

function borrowed(name: string, tools: SourceTools): Subjects {
  const supply = () => supplyOf(name, tools)
  function subjectOf(credential: Credential, purpose: Purpose | undefined): SubjectToken {
    const { secret: token, expiresAt, behind, isGood } = credential
    const origin = { name: `connection:${name}`, secret: token, storedVersion: undefined }
    const renew = async () => {
      const other = await supply().rejected(credential, purpose)
      return other && subjectOf(other, purpose)
    }
    return { token, expiresAt: expiresAt ?? expiryOf(token), origin, behind, isGood, renew }
  }
  return {
    isFixed: false,
    isPerCaller: () => supply().state().separate !== undefined,
    keyOf: (purpose) => supply().keyOf?.(purpose),
    async current(purpose) {
      const credential = await supply().obtain(purpose)
      if (!credential) throw new Problem('credential-failed', { reason: `connection ${name} has no credential` })
      const subject = subjectOf(credential, purpose)
      if (isOver(subject.expiresAt, tools.clock)) throw expired(`connection ${name}`)
      return subject
    },
    version: () => 0,
  }
}

function supplyOf(name: string, { connection }: SourceTools) {
  if (!connection) throw new Error(`no connection ${name}: whoever checks settings let it through`)
  return connection(name)
}

function needed(purpose: Purpose | undefined): Purpose {
  if (!purpose) throw nobody('nobody asks')
  return purpose
}

function isOver(expiresAt: number | undefined, clock: Clock): boolean {
  return expiresAt !== undefined && expiresAt <= clock.now()
}

/** Lasts until the file changes: an issuer would only say the same. */
function expired(what: string): Problem {
  return new Problem('credential-failed', { reason: `the token of ${what} has expired: it is to be renewed first` })
}
