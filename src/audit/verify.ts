import { createPublicKey, type KeyObject } from 'node:crypto'
import type { AuditHead } from '../core/audit-line.ts'
import { thumbprintOf } from './checkpoint.ts'
import { isUnaltered, readLine } from './read-line.ts'
import type { AuditFault, AuditFaultCode, Found } from './verify-fault.ts'
import { type AuditBeginning, InstanceLedger } from './verify-instance.ts'

/**
 * What a part of an audit shows that nobody touched: lines that were not chosen, in the order of time. An audit that lines
 * were taken out of shows the same.
 */
const OF_A_PART: ReadonlySet<AuditFaultCode> = new Set(['missing', 'reordered', 'tail-missing', 'run-missing'])

/** What came of verifying. */
export interface Verification {
  /** Whether nothing is wrong. */
  readonly isIntact: boolean
  /** The one that shows first. */
  readonly fault: AuditFault | undefined
  readonly faults: number
  /** Something is wrong, and all of it is what a part of an audit shows, too: no line is another than was written. */
  readonly isPartial: boolean
  readonly lines: number
  readonly runs: number
  /** Checkpoints whose signature was good. */
  readonly signed: number
  /** Lines that no good checkpoint vouches for; all of them where no keys were given. */
  readonly unsigned: number
  /** Lines that are missing, and that a record says were dropped when a sink was full. */
  readonly dropped: number
  /** The last line of each instance: what another copy of the audit must reach. */
  readonly heads: ReadonlyMap<string, AuditHead>
  /** Of each instance that had written lines before the first that is here: nothing is said of those. */
  readonly beginnings: ReadonlyMap<string, AuditBeginning>
}

/** What is known besides the lines. */
export interface VerifyOptions {
  /** PEM of the keys that may sign; without any, signatures are not looked at, and prove nothing. */
  readonly publicKeys?: readonly string[]
  /** How far the audit reaches at least, by instance: from another sink, or a verification before. */
  readonly heads?: ReadonlyMap<string, AuditHead>
}

/**
 * Reads the lines of an audit once, from one sink, in the order in which they were written: files one after the other,
 * oldest first, or rows with `order: 'oldest'`. Memory does not grow with the number of lines. What came before the first
 * line is not known; that something is missing there is no fault, since old files are thrown away.
 * @throws Error in words, when a key is none; whatever `lines` throws
 */
export async function verifyAudit(
  lines: AsyncIterable<string> | Iterable<string>,
  options: VerifyOptions = {},
): Promise<Verification> {
  const verifier = new Verifier(options)
  for await (const line of lines) verifier.take(line)
  return verifier.end()
}

class Verifier {
  readonly #keys: ReadonlyMap<string, KeyObject> | undefined
  readonly #expected: ReadonlyMap<string, AuditHead>
  readonly #instances = new Map<string, InstanceLedger>()
  #lines = 0
  #faults = 0
  #first: AuditFault | undefined
  #isDamaged = false

  constructor({ publicKeys, heads = new Map() }: VerifyOptions) {
    this.#keys = publicKeys && new Map(publicKeys.map(readKey).map((key) => [thumbprintOf(key), key]))
    this.#expected = heads
  }

  take(text: string): void {
    // Files end with a line feed, and some tools leave an empty line.
    if (text === '') return
    this.#lines++
    const line = readLine(text)
    if (!line) return this.#add({ code: 'malformed', message: 'is no line of the audit: was it cut short?' })
    const ledger = this.#ledgerOf(line.instance)
    if (!isUnaltered(line)) {
      const message = `is not what was written: its hash is another one`
      this.#add({ code: 'altered', message, ...whose(line) })
    }
    ledger.take(line, this.#lines)
  }

  #ledgerOf(instance: string): InstanceLedger {
    const known = this.#instances.get(instance)
    if (known) return known
    const made = new InstanceLedger({ instance, keys: this.#keys, report: (found) => this.#add(found) })
    this.#instances.set(instance, made)
    return made
  }

  #add({ line = this.#lines, instance, run, seq, code, message }: Found): void {
    this.#faults++
    if (!OF_A_PART.has(code)) this.#isDamaged = true
    if (!this.#first || line < this.#first.line) this.#first = { code, message, line, instance, run, seq }
  }

  end(): Verification {
    for (const ledger of this.#instances.values()) ledger.end()
    for (const [instance, head] of this.#expected) this.#compare(instance, head)
    const ledgers = [...this.#instances.values()]
    const sum = (count: (ledger: InstanceLedger) => number) => ledgers.reduce((total, one) => total + count(one), 0)
    return {
      isIntact: this.#faults === 0,
      fault: this.#first,
      faults: this.#faults,
      isPartial: this.#faults > 0 && !this.#isDamaged,
      lines: this.#lines,
      runs: sum(({ runs }) => runs),
      signed: sum(({ signed }) => signed),
      unsigned: sum(({ unsigned }) => unsigned),
      dropped: sum(({ dropped }) => dropped),
      heads: new Map([...this.#instances].flatMap(([name, { head }]) => (head ? [[name, head] as const] : []))),
      beginnings: new Map(
        [...this.#instances].flatMap(([name, { beginning }]) => (beginning ? [[name, beginning] as const] : [])),
      ),
    }
  }

  /** Shows a tail that was cut off, where somebody else knows of it. */
  #compare(instance: string, head: AuditHead): void {
    const ledger = this.#instances.get(instance)
    const message = ledger ? ledger.faultOfHead(head) : `nothing of ${instance} is here`
    if (message === undefined) return
    const { run, seq } = head
    this.#add({ code: 'tail-missing', message, line: this.#lines + 1, instance, run, seq })
  }
}

function whose({ instance, run, seq }: { readonly instance: string; readonly run: string; readonly seq: number }) {
  return { instance, run, seq }
}

function readKey(pem: string): KeyObject {
  try {
    const key = createPublicKey(pem)
    if (key.asymmetricKeyType === 'ed25519') return key
  } catch {
    // The one message says it.
  }
  throw new Error('a key is no Ed25519 public key in PEM: "openssl pkey -in KEY -pubout" prints it')
}
