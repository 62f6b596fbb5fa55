import type { Told } from './finding.ts'
import type { Site } from './site.ts'
import { expiry } from './words.ts'

/** Which grants have ended, or will before long. */
export function examineGrants({ loaded, clock }: Site): readonly Told[] {
  return loaded.settings.grants.map(({ caller, connection, until }, index) => {
    const subject = `grants[${index}]`
    const { state, says } = expiry(until, clock.now())
    const told = { subject, state, says: `${caller} may use ${connection}: the grant ${says}` }
    return state === 'ok' ? told : { ...told, remedy: `renew it by a later "until" in ${loaded.file}` }
  })
}
