const MASK = 0x2a // "*"
const NOTHING: Buffer = Buffer.alloc(0)

interface Pattern {
  readonly bytes: Buffer
  /** For each length of a beginning: the longest shorter beginning that it ends with (Knuth, Morris, Pratt). */
  readonly borders: Uint32Array
}

const compiled = new WeakMap<readonly Buffer[], readonly Pattern[]>()

/**
 * Puts `*` in place of each byte of what is looked for, in a stream, whatever the borders of its chunks are. As long as it
 * was: a Content-Length stays right. Holds back no more than what could be the beginning of a match.
 */
export class Scrubber {
  readonly #patterns: readonly Pattern[]
  /** What is held back: as it came, to go on looking, and as it will go out. */
  #held = NOTHING
  #masked = NOTHING

  /** `forms`: a list that stays as it is; it is prepared once. */
  constructor(forms: readonly Buffer[]) {
    const patterns = compiled.get(forms) ?? forms.filter(({ length }) => length > 0).map(compile)
    compiled.set(forms, patterns)
    this.#patterns = patterns
  }

  /** What can go out now. The chunk itself is not written to. */
  push(chunk: Buffer): Buffer {
    const raw = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk])
    const out = Buffer.concat([this.#masked, chunk])
    let kept = 0
    for (const pattern of this.#patterns) {
      mask(raw, out, pattern.bytes)
      kept = Math.max(kept, beginningAtEnd(raw, pattern))
    }
    this.#held = raw.subarray(raw.length - kept)
    this.#masked = out.subarray(out.length - kept)
    return out.subarray(0, out.length - kept)
  }

  /** The rest, at the end. */
  flush(): Buffer {
    const rest = this.#masked
    this.#held = NOTHING
    this.#masked = NOTHING
    return rest
  }

  /** A text that stands alone, of bytes as latin1 has them. */
  text(text: string): string {
    const bytes = Buffer.from(text, 'latin1')
    const out = Buffer.from(bytes)
    for (const { bytes: wanted } of this.#patterns) mask(bytes, out, wanted)
    return out.toString('latin1')
  }
}

function mask(raw: Buffer, out: Buffer, wanted: Buffer): void {
  let done = 0
  for (let at = raw.indexOf(wanted); at !== -1; at = raw.indexOf(wanted, at + 1)) {
    out.fill(MASK, Math.max(at, done), at + wanted.length)
    done = at + wanted.length
  }
}

/** How many bytes at the end could be the beginning of a match. */
function beginningAtEnd(raw: Buffer, { bytes, borders }: Pattern): number {
  let length = 0
  for (let at = Math.max(0, raw.length - bytes.length + 1); at < raw.length; at++)
    length = extended(length, raw[at] ?? 0, bytes, borders)
  return length
}

/** The longest beginning of `bytes` that one more byte leaves at the end, of which there was one of this length. */
function extended(length: number, byte: number, bytes: Buffer, borders: Uint32Array): number {
  let now = length
  while (now > 0 && bytes[now] !== byte) now = borders[now] ?? 0
  return bytes[now] === byte ? now + 1 : now
}

function compile(bytes: Buffer): Pattern {
  const borders = new Uint32Array(bytes.length + 1)
  let length = 0
  for (let at = 1; at < bytes.length; at++) {
    length = extended(length, bytes[at] ?? 0, bytes, borders)
    borders[at + 1] = length
  }
  return { bytes, borders }
}
