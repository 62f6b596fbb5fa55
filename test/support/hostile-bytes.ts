import { connect } from 'node:net'

/**
 * A client that says odd things first, or nothing: so many connections, some at a time, to port 443 of an address.
 * Arguments: the address, a ClientHello in hex, how many, a seed.
 */
const [host = '', hex = '', count = '0', seed = '0'] = process.argv.slice(2)
const hello = Buffer.from(hex, 'hex')
let state = Number(seed)

/** mulberry32: the same bytes for the same seed. */
function below(limit: number): number {
  state = (state + 0x6d2b79f5) | 0
  let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
  return ((mixed ^ (mixed >>> 14)) >>> 0) % limit
}

const part = () => hello.subarray(0, below(hello.length))
const flipped = () => {
  const bytes = Buffer.from(hello)
  bytes[below(bytes.length)] = below(256)
  return bytes
}
const OPENINGS = [
  flipped,
  part,
  () => Buffer.concat([part(), hello]),
  () => Buffer.from(Array.from({ length: below(300) }, () => below(256))),
  () =>
    Buffer.from(
      `GET / HTTP/1.${below(3)}\r\nHost: ${['[::1]', '1.2.3.4', 'a..b', '', 'api.crm.test:80'][below(5)]}\r\n\r\n`,
    ),
  () => Buffer.alloc(0),
]
const ENDINGS = ['end', 'destroy', 'resetAndDestroy'] as const

function say(): Promise<void> {
  const [opening, ending] = [OPENINGS[below(OPENINGS.length)], ENDINGS[below(ENDINGS.length)] ?? 'end']
  return new Promise((resolve) => {
    const socket = connect(443, host, () => {
      socket.write(opening?.() ?? '', () => socket[ending]())
    })
    socket
      .on('error', () => undefined)
      .once('close', () => resolve())
      .resume()
  })
}

for (let at = 0; at < Number(count); at += 20) await Promise.all(Array.from({ length: 20 }, say))
