/** One element of DER: its tag, and what is in it. */
export interface Der {
  readonly tag: number
  readonly content: Buffer
}

/** SEQUENCE, as tags say it; and the other types that certificates are made of. */
export const TAGS = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  objectIdentifier: 0x06,
  sequence: 0x30,
} as const

/**
 * The elements that stand one after another, in the one way in which DER can say them. BER has several, and parsers that
 * take them differ in what they see.
 * @throws Error in words
 * @see X.690 section 10
 */
export function readDer(bytes: Buffer): Der[] {
  const elements: Der[] = []
  for (let at = 0; at < bytes.length; ) {
    const { element, size } = readFirst(bytes.subarray(at))
    elements.push(element)
    at += size
  }
  return elements
}

/**
 * What is in the one element that these bytes are.
 * @throws Error in words when they are another, more, or less
 */
export function contentOf(bytes: Buffer, tag: number): Buffer {
  const [element, ...others] = readDer(bytes)
  if (element?.tag !== tag || others.length > 0) throw new Error('another element than expected')
  return element.content
}

/** An object identifier in dotted form. @see X.690 section 8.19 */
export function readOid(content: Buffer): string {
  const numbers: number[] = []
  let number = 0
  let isOpen = false
  for (const byte of content) {
    if (!isOpen && byte === 0x80) throw new Error('an object identifier with a leading zero')
    number = number * 128 + (byte & 0x7f)
    isOpen = (byte & 0x80) !== 0
    if (!Number.isSafeInteger(number)) throw new Error('an object identifier beyond reason')
    if (!isOpen) numbers.push(number)
    if (!isOpen) number = 0
  }
  const [first, ...rest] = numbers
  if (first === undefined || isOpen) throw new Error('an object identifier that is cut off')
  const root = Math.min(2, Math.floor(first / 40))
  return [root, first - root * 40, ...rest].join('.')
}

function readFirst(bytes: Buffer): { readonly element: Der; readonly size: number } {
  const [tag, short] = bytes
  if (tag === undefined || short === undefined) throw new Error('an element that is cut off')
  if ((tag & 0x1f) === 0x1f) throw new Error('a tag of many bytes, which certificates have none of')
  const digits = short < 0x80 ? 0 : short & 0x7f
  const start = 2 + digits
  const end = start + (digits === 0 ? shortLength(short) : longLength(bytes.subarray(2, start), digits))
  if (end > bytes.length) throw new Error('an element that is cut off')
  return { element: { tag, content: bytes.subarray(start, end) }, size: end }
}

/** 0x80 would be an indefinite length, which is BER. */
function shortLength(short: number): number {
  if (short >= 0x80) throw new Error('an element without a length')
  return short
}

function longLength(bytes: Buffer, digits: number): number {
  if (digits > 4 || bytes.length < digits) throw new Error('a length beyond reason')
  const length = bytes.readUIntBE(0, digits)
  if (length < 0x80 || bytes[0] === 0) throw new Error('a length that is longer than it has to be')
  return length
}
