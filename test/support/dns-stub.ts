import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { isIPv6 } from 'node:net'

/** What the stub says about one name. A family without a list has no records of that type (NODATA). */
export interface DnsAnswer {
  readonly a?: readonly string[]
  readonly aaaa?: readonly string[]
  /** 2 is SERVFAIL, 3 is NXDOMAIN, 5 is REFUSED. */
  readonly rcode?: number
  /** Families that are never answered. */
  readonly silent?: readonly ('a' | 'aaaa')[]
  /** The whole message, in place of all the rest. */
  readonly raw?: (query: Buffer) => Buffer
}

/** A name server on loopback that answers from a script. */
export interface DnsStub {
  /** For `servers` of a resolver. */
  readonly address: string
  /** What was asked so far, as `a api.test`. */
  readonly asked: readonly string[]
  close(): void
}

const NXDOMAIN = 3
const TYPES = new Map([
  [1, 'a'],
  [28, 'aaaa'],
] as const)

/** Answers from `zone`, which may be changed between questions; a name that is not in it does not exist. UDP only. */
export async function startDnsStub(zone: Record<string, DnsAnswer>): Promise<DnsStub> {
  const socket = createSocket('udp4')
  const asked: string[] = []
  socket.on('message', (query, from) => {
    const { name, type } = readQuestion(query)
    asked.push(`${type} ${name}`)
    const answer = zone[name] ?? { rcode: NXDOMAIN }
    if (type !== undefined && answer.silent?.includes(type)) return
    socket.send(
      answer.raw?.(query) ?? writeMessage(query, answer.rcode ?? 0, (type && answer[type]) ?? []),
      from.port,
      from.address,
    )
  })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  return { address: `127.0.0.1:${socket.address().port}`, asked, close: () => socket.close() }
}

interface Question {
  readonly name: string
  readonly type: 'a' | 'aaaa' | undefined
  readonly end: number
}

function readQuestion(query: Buffer): Question {
  const labels: string[] = []
  let at = 12
  for (let length = query.readUInt8(at); length > 0; length = query.readUInt8(at)) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length))
    at += 1 + length
  }
  const type = query.readUInt16BE(at + 1)
  return {
    name: labels.join('.').toLowerCase(),
    type: TYPES.get(type as 1 | 28 /* others are not in the map */),
    end: at + 5,
  }
}

/** An answer to `query` with these addresses, none of them compressed but by a pointer to the question. */
function writeMessage(query: Buffer, rcode: number, addresses: readonly string[]): Buffer {
  const head = Buffer.from(query.subarray(0, readQuestion(query).end))
  head.writeUInt16BE(0x8180 | rcode, 2)
  head.writeUInt16BE(addresses.length, 6)
  head.writeUInt32BE(0, 8)
  return Buffer.concat([head, ...addresses.map(writeRecord)])
}

function writeRecord(address: string): Buffer {
  const data = isIPv6(address) ? ipv6(address) : Buffer.from(address.split('.').map(Number))
  const record = Buffer.alloc(12)
  record.writeUInt16BE(0xc00c, 0)
  record.writeUInt16BE(data.length === 4 ? 1 : 28, 2)
  record.writeUInt16BE(1, 4)
  record.writeUInt32BE(60, 6)
  record.writeUInt16BE(data.length, 10)
  return Buffer.concat([record, data])
}

function ipv6(address: string): Buffer {
  const [head = '', tail = ''] = address.split('::')
  const before = groups(head)
  const after = groups(tail)
  return Buffer.concat([before, Buffer.alloc(16 - before.length - after.length), after])
}

function groups(text: string): Buffer {
  const words = text === '' ? [] : text.split(':')
  return Buffer.from(words.map((word) => word.padStart(4, '0')).join(''), 'hex')
}
