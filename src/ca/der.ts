/** One element of DER: tag, length, content. */
export interface Element {
  readonly tag: number
  readonly content: Buffer
  /** All of it. */
  readonly bytes: Buffer
}

/** SEQUENCE. */
export const SEQUENCE = 0x30

/** An element that holds others. @see X.690 section 8.1 */
export function encode(tag: number, parts: readonly Uint8Array[]): Buffer<ArrayBuffer> {
  const content = Buffer.concat(parts)
  return Buffer.concat([Buffer.from([tag, ...lengthBytes(content.length)]), content])
}

/**
 * The elements that stand one after another.
 * @throws Error when the last one is cut off
 */
export function decode(bytes: Buffer): Element[] {
  const elements: Element[] = []
  for (let at = 0; at < bytes.length; ) {
    const element = first(bytes.subarray(at))
    elements.push(element)
    at += element.bytes.length
  }
  return elements
}

function lengthBytes(length: number): number[] {
  if (length < 0x80) return [length]
  const digits: number[] = []
  for (let rest = length; rest > 0; rest >>>= 8) digits.unshift(rest & 0xff)
  return [0x80 | digits.length, ...digits]
}

function first(bytes: Buffer): Element {
  const [tag = 0, short = 0] = bytes
  const digits = short < 0x80 ? 0 : short & 0x7f
  const start = 2 + digits
  const end = start + (digits === 0 ? short : Number.parseInt(bytes.toString('hex', 2, start), 16))
  // Also where `end` is not a number.
  if (!(end <= bytes.length)) throw new Error('the DER is cut off')
  return { tag, content: bytes.subarray(start, end), bytes: bytes.subarray(0, end) }
}
