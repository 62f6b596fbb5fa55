import { duplexPair } from 'node:stream'
import { type ConnectionOptions, connect } from 'node:tls'

/** A real ClientHello for this server name, byte for byte, whether a client would send it or not. */
export async function helloFor(name: string | undefined, options: ConnectionOptions = {}): Promise<Buffer> {
  const [near, far] = duplexPair()
  const standIn = 'x'.repeat(name?.length ?? 0)
  const client = connect({ socket: near, servername: standIn, ...options })
  client.on('error', () => undefined)
  const bytes = await new Promise<Buffer>((resolve) => far.once('data', resolve))
  client.destroy()
  if (name !== undefined) bytes.write(name, bytes.indexOf(standIn), 'latin1')
  return bytes
}

/** A ClientHello with one more extension behind its others. @see RFC 8446 section 4.1.2 */
export function withExtension(hello: Buffer, type: number, body: Buffer): Buffer {
  const added = Buffer.alloc(4 + body.length)
  added.writeUInt16BE(type)
  added.writeUInt16BE(body.length, 2)
  body.copy(added, 4)
  const longer = Buffer.concat([hello, added])
  longer.writeUInt16BE(hello.readUInt16BE(3) + added.length, 3)
  longer.writeUIntBE(hello.readUIntBE(6, 3) + added.length, 6, 3)
  const at = extensionsAt(hello)
  longer.writeUInt16BE(hello.readUInt16BE(at) + added.length, at)
  return longer
}

/** Behind version, random, session, cipher suites and compression. */
function extensionsAt(hello: Buffer): number {
  const session = 9 + 2 + 32
  const suites = session + 1 + hello.readUInt8(session)
  const compression = suites + 2 + hello.readUInt16BE(suites)
  return compression + 1 + hello.readUInt8(compression)
}

/** The same ClientHello in records of so many bytes each. */
export function inRecordsOf(hello: Buffer, size: number): Buffer {
  const message = hello.subarray(5)
  const records: Buffer[] = []
  for (let at = 0; at < message.length; at += size) {
    const part = message.subarray(at, at + size)
    records.push(Buffer.from([22, 3, 1, part.length >> 8, part.length & 0xff]), part)
  }
  return Buffer.concat(records)
}
