import type { ClientAuth } from 'oauth4webapi'
import { type LongLived, Secret } from '../../core/secret.ts'
import { longLivedOf, nameOfSecret } from '../../secrets/reference.ts'
import type { Slot, Slots } from '../client-secret.ts'
import type { ClientAuthTools, ClientProof, Presentation } from './client-auth.ts'

/** A client that shows its secret, as it stands at each request. `show` puts it into the request. */
export function bySecret({ clientSecret }: ClientAuthTools, show: (secret: LongLived) => ClientAuth): ClientProof {
  if (!clientSecret) throw new Error('no clientSecret: the schema let it through')
  const order = new Order(clientSecret)
  return {
    presentations: () => order.slots().map((slot, index) => presentationOf(slot, index > 0 ? order : undefined, show)),
    version: () => clientSecret.current.held.current().version + (clientSecret.next?.held.current().version ?? 0),
  }
}

/** The secret is looked at when it is shown: one that cannot be sent does not matter before its turn. */
function presentationOf(slot: Slot, order: Order | undefined, show: (secret: LongLived) => ClientAuth): Presentation {
  const behind = longLivedOf(slot.reference, slot.held)
  const authenticate: ClientAuth = (server, client, body, headers) => show(behind)(server, client, body, headers)
  return { authenticate, behind, ...(order && { accepted: () => order.promote(slot) }) }
}

/** Which of two secrets is shown first: `current`, until an issuer takes `next` in its stead. */
class Order {
  readonly #slots: Slots
  /** For as long as `current` is the one that was refused: another value there is worth a try. */
  #promoted: { readonly slot: Slot; readonly current: number } | undefined

  constructor(slots: Slots) {
    this.#slots = slots
  }

  slots(): readonly Slot[] {
    const { current, next } = this.#slots
    if (!next || isNone(next) || isSame(next, current)) return [current]
    const isPromoted = this.#promoted?.slot === next && this.#promoted.current === versionOf(current)
    return isPromoted ? [next, current] : [current, next]
  }

  /** Called when it was taken after the other had been refused. Returns what an operator should know. */
  promote(slot: Slot): string | undefined {
    const [first] = this.slots()
    if (!first || first === slot) return undefined
    this.#promoted = { slot, current: versionOf(this.#slots.current) }
    const [used, unused] = [slot, first].map(({ reference }) => nameOfSecret(reference))
    return `the issuer refuses the client secret of ${unused} and takes that of ${used}, which is shown from now on: the old one is unused, and can be retired`
  }
}

function versionOf({ held }: Slot): number {
  return held.current().version
}

function isSame(one: Slot, other: Slot): boolean {
  return one.held.current().secret.equals(other.held.current().secret)
}

/** A file that is not there, or has nothing in it yet. */
function isNone({ held }: Slot): boolean {
  return held.current().secret.equals(NOTHING)
}

const NOTHING = new Secret('')
