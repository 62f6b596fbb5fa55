import { holderText } from '../../core/grants.ts'
import { holderOf } from '../../settings/policy.ts'
import type { Told } from './finding.ts'
import type { Site } from './site.ts'
import { expiry } from './words.ts'

/** Which grants have ended, or will before long. */
export function examineGrants({ loaded, clock }: Site): readonly Told[] {
  return loaded.settings.grants.map((grant, index) => {
    const { connection, until } = grant
    const subject = `grants[${index}]`
    const { state, says } = expiry(until, clock.now())
    const told = { subject, state, says: `${holderText(holderOf(grant))} may use ${connection}: the grant ${says}` }
    return state === 'ok' ? told : { ...told, remedy: `renew it by a later "until" in ${loaded.file}` }
  })
}
