/** What a client says of itself before anything is encrypted. */
export interface ClientHello {
  /** The server name byte for byte, one character a byte. Nothing is decoded: compare it, never normalise it. */
  readonly serverName: string | undefined
  /** ALPN, in the order of the client. */
  readonly protocols: readonly string[]
  /** It offers Encrypted Client Hello, in earnest or as GREASE: the two are made not to be told apart. Or the old ESNI. */
  readonly encrypted: boolean
}

const RECORD_HEADER_BYTES = 5
const HANDSHAKE_HEADER_BYTES = 4
const MAX_FRAGMENT_BYTES = 2 ** 14
/** RFC 8446 allows a record a byte; without this bound each byte that comes in would cost a walk over all of them. */
const MAX_RECORDS = 64

/**
 * All records of a ClientHello together: so many bytes are never `'more'`, so that who waits for the rest of one need not
 * hold more. A post-quantum key share makes 1.8 KiB.
 */
export const MAX_HELLO_BYTES = MAX_FRAGMENT_BYTES + MAX_RECORDS * RECORD_HEADER_BYTES

const HANDSHAKE_RECORD = 22
const MAJOR_VERSION = 3
const CLIENT_HELLO = 1
const RANDOM_BYTES = 32
const HOST_NAME = 0

const SERVER_NAME = 0
const ALPN = 16
/** encrypted_client_hello of RFC 9849, and encrypted_server_name of the drafts before it. */
const ENCRYPTED = [0xfe0d, 0xffce]

/**
 * Reads the ClientHello that these bytes begin with, and nothing behind it. `'more'`: they are the beginning of one.
 * `'not-tls'`: they never will be. `'malformed'`: TLS, but not a ClientHello that two readers are sure to read alike.
 * @see RFC 8446 sections 4.1.2 and 5.1, RFC 6066 section 3, RFC 7301 section 3.1
 */
export function parseClientHello(bytes: Buffer): ClientHello | 'more' | 'not-tls' | 'malformed' {
  if (!beginsRecord(bytes)) return 'not-tls'
  try {
    const body = bodyOf(bytes)
    return body ? readBody(new Cursor(body)) : 'more'
  } catch (error) {
    if (error instanceof Malformed) return 'malformed'
    throw error
  }
}

/** Never leaves this file. */
class Malformed extends Error {}

function insist(condition: boolean): asserts condition {
  if (!condition) throw new Malformed()
}

/** As far as there are bytes. The minor version is whatever the client likes, and is ignored: RFC 8446 section 5.1. */
function beginsRecord(bytes: Buffer): boolean {
  const [type = HANDSHAKE_RECORD, major = MAJOR_VERSION] = bytes
  return type === HANDSHAKE_RECORD && major === MAJOR_VERSION
}

/** The ClientHello without its headers; undefined while it is not whole. */
function bodyOf(bytes: Buffer): Buffer | undefined {
  const { message, isOver } = joinFragments(bytes)
  insist(message.length === 0 || message[0] === CLIENT_HELLO)
  const end = HANDSHAKE_HEADER_BYTES + (message.length < HANDSHAKE_HEADER_BYTES ? 0 : message.readUIntBE(1, 3))
  insist(end <= MAX_FRAGMENT_BYTES)
  if (message.length >= end) return message.subarray(HANDSHAKE_HEADER_BYTES, end)
  insist(!isOver)
  return undefined
}

/** What handshake records hold up to the first byte that is none of theirs. `isOver`: more bytes add nothing to it. */
function joinFragments(bytes: Buffer): { readonly message: Buffer; readonly isOver: boolean } {
  const fragments: Buffer[] = []
  let at = 0
  while (at < bytes.length) {
    const fragment = fragments.length < MAX_RECORDS ? fragmentAt(bytes, at) : undefined
    if (!fragment) return { message: Buffer.concat(fragments), isOver: true }
    fragments.push(fragment.bytes)
    at = fragment.end
  }
  return { message: Buffer.concat(fragments), isOver: false }
}

/** The part that is here of one record's fragment; undefined where none of a handshake can be. */
function fragmentAt(bytes: Buffer, at: number): { readonly bytes: Buffer; readonly end: number } | undefined {
  if (!beginsRecord(bytes.subarray(at))) return undefined
  const start = at + RECORD_HEADER_BYTES
  if (start > bytes.length) return { bytes: Buffer.alloc(0), end: bytes.length }
  const length = bytes.readUInt16BE(at + 3)
  if (length === 0 || length > MAX_FRAGMENT_BYTES) return undefined
  return { bytes: bytes.subarray(start, start + length), end: start + length }
}

function readBody(body: Cursor): ClientHello {
  body.skip(2 + RANDOM_BYTES)
  insist(body.vector(1).size <= 32)
  const cipherSuites = body.vector(2)
  insist(cipherSuites.size >= 2 && cipherSuites.size % 2 === 0)
  insist(body.vector(1).size >= 1)
  // TLS 1.2 may leave the extensions out: RFC 5246 section 7.4.1.2.
  const extensions = body.isSpent ? new Map<number, Cursor>() : readExtensions(body.vector(2))
  insist(body.isSpent)
  return {
    serverName: readServerName(extensions.get(SERVER_NAME)),
    protocols: readProtocols(extensions.get(ALPN)),
    encrypted: ENCRYPTED.some((type) => extensions.has(type)),
  }
}

/** There must not be two of one type: RFC 8446 section 4.2. The GREASE of one hello differs, too. */
function readExtensions(list: Cursor): ReadonlyMap<number, Cursor> {
  const extensions = new Map<number, Cursor>()
  while (!list.isSpent) {
    const type = list.number(2)
    insist(!extensions.has(type))
    extensions.set(type, list.vector(2))
  }
  return extensions
}

/** A list by its form, with exactly one host name in practice: OpenSSL, too, knows no other. */
function readServerName(extension: Cursor | undefined): string | undefined {
  if (!extension) return undefined
  const list = extension.vector(2)
  insist(extension.isSpent && list.number(1) === HOST_NAME)
  const name = list.vector(2)
  insist(list.isSpent && name.size > 0)
  return name.text()
}

function readProtocols(extension: Cursor | undefined): readonly string[] {
  if (!extension) return []
  const list = extension.vector(2)
  insist(extension.isSpent && list.size > 0)
  const protocols: string[] = []
  while (!list.isSpent) {
    const name = list.vector(1)
    insist(name.size > 0)
    protocols.push(name.text())
  }
  return protocols
}

/** Reads forward and never past the end. */
class Cursor {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get size(): number {
    return this.#bytes.length
  }

  get isSpent(): boolean {
    return this.#at === this.#bytes.length
  }

  skip(count: number): void {
    insist(this.#at + count <= this.#bytes.length)
    this.#at += count
  }

  number(size: number): number {
    this.skip(size)
    return this.#bytes.readUIntBE(this.#at - size, size)
  }

  /** What is behind a length of so many bytes. */
  vector(sizeOfLength: number): Cursor {
    const length = this.number(sizeOfLength)
    this.skip(length)
    return new Cursor(this.#bytes.subarray(this.#at - length, this.#at))
  }

  /** Latin-1 keeps the bytes apart; 'ascii' would drop their highest bit and make an "a" of 0xe1. */
  text(): string {
    return this.#bytes.toString('latin1')
  }
}
