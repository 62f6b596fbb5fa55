import { Delivery } from '../../src/audit/delivery.ts'
import { linesOf, makeChain, makeSinkTools } from '../support/audit.ts'

/**
 * Writes lines for ever into a sink that takes none of them, and prints the number of the last one that is on the disk:
 * all of a turn are there in the next one. Ends by being killed.
 */
const [path = '', instance = ''] = process.argv.slice(2)
const { tools } = makeSinkTools({ spill: { path, maxBytes: 256 * 1024 ** 2 } })
const refuse = () => Promise.reject(new Error('nobody there'))
const delivery = new Delivery({ send: refuse, latest: async () => undefined, maxLines: 200, tickMs: 5 }, tools)
const chain = makeChain(instance)

function turn(): void {
  process.stdout.write(`${chain.head.seq}\n`)
  for (const line of linesOf(chain, 7)) delivery.write(line)
  // Behind what the writer does at the end of this turn.
  setImmediate(() => setImmediate(turn))
}
turn()
