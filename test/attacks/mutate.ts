/** A source of numbers in [0, 1) that gives the same ones for the same seed (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** What means something to a parser of HTTP. */
const CONTROLS = Array.from('\r\n\0\t \x0b\x0c\x7f\x85\xa0\xff')
const MARKS = ': ; , 0 1 9 f - + _ / \\ ? # @ % %2e %00 .. // [ ] " * ='.split(' ')
const WORDS = 'GET POST CONNECT OPTIONS HTTP/1.0 HTTP/1.1 HTTP/2.0 http://evil.test/ https:// chunked gzip close'.split(
  ' ',
)
const LINES = [
  'Content-Length: 3',
  'Content-Length: 0',
  'Content-Length : 3',
  'Transfer-Encoding: chunked',
  'Transfer_Encoding: x',
  'Host: evil.test',
  'Connection: close',
  'Connection: Authorization',
  'Expect: 100-continue',
  'Upgrade: websocket',
  'Proxy-Authorization: Bearer x',
  'Authorization: Bearer EVIL',
  'authorization_: EVIL',
  '0\r\n',
  '1;a=b\r\nA',
  '',
]
const TOKENS = [...CONTROLS, '\r\n ', ...MARKS, ...WORDS, ...LINES.map((line) => `${line}\r\n`)]

type Random = () => number
type Mutator = (bytes: string, random: Random, seeds: readonly string[]) => string

/** After the mutators of http-garden: bytes, lines and whole requests, in, out, over and crossed. */
const MUTATORS: readonly Mutator[] = [
  (bytes, random) => at(bytes, random, (before, after) => before + pick(TOKENS, random) + after),
  (bytes, random) => at(bytes, random, (before, after) => before + pick(TOKENS, random) + after.slice(1)),
  (bytes, random) => at(bytes, random, (before, after) => before + after.slice(1)),
  (bytes, random) => at(bytes, random, (before, after) => before + after.slice(Math.ceil(random() * 20))),
  (bytes, random) => at(bytes, random, (before, after) => before + after.slice(0, Math.ceil(random() * 20)) + after),
  (bytes, random) =>
    at(
      bytes,
      random,
      (before, after) => before + String.fromCharCode(after.charCodeAt(0) ^ (1 << (random() * 8))) + after.slice(1),
    ),
  (bytes, random) => at(bytes, random, (before, after) => (random() < 0.3 ? before : before + after)),
  (bytes, random) => lines(bytes, random, (all, one) => all.toSpliced(one, 0, all[one] ?? '')),
  (bytes, random) => lines(bytes, random, (all, one) => all.toSpliced(one, 1)),
  (bytes, random) =>
    lines(bytes, random, (all, one) =>
      all.toSpliced(Math.floor(random() * all.length), 0, ...all.toSpliced(one, 1).slice(one, one + 1)),
    ),
  (bytes, random, seeds) =>
    lines(bytes, random, (all, one) => all.toSpliced(one, 0, pick(pick(seeds, random).split('\r\n'), random))),
  (bytes, random, seeds) =>
    lines(bytes, random, (all, one) => [...all.slice(0, one), ...pick(seeds, random).split('\r\n').slice(one)]),
  (bytes, random) =>
    lines(bytes, random, (all, one) => [`${all.slice(0, one + 1).join('\r\n')}\n${all.slice(one + 1).join('\r\n')}`]),
  (bytes, random, seeds) => (random() < 0.5 ? bytes + pick(seeds, random) : pick(seeds, random) + bytes),
]

/** One to three mutations of a seed. */
export function mutate(seed: string, random: Random, seeds: readonly string[]): string {
  let bytes = seed
  for (let times = 1 + Math.floor(random() * 3); times > 0; times--)
    bytes = pick(MUTATORS, random)(bytes, random, seeds)
  return bytes
}

function at(bytes: string, random: Random, change: (before: string, after: string) => string): string {
  const place = Math.floor(random() * bytes.length)
  return change(bytes.slice(0, place), bytes.slice(place))
}

function lines(bytes: string, random: Random, change: (all: string[], one: number) => string[]): string {
  const all = bytes.split('\r\n')
  return change(all, Math.floor(random() * all.length)).join('\r\n')
}

function pick<T>(from: readonly T[], random: Random): T {
  // Every list here has something in it.
  return from[Math.floor(random() * from.length)] as T
}
