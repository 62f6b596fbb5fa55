import { afterAll, beforeAll, expect, test } from 'vitest'
import { open, sendRaw } from '../support/raw-client.ts'
import { readMessages } from './messages.ts'
import { mutate, randomFrom } from './mutate.ts'
import { besiege, CARRIERS, type Carrier, type Siege, valuesIn } from './siege.ts'

/** Valid requests, bent at random, the same way each time. More of them: FUZZ_CASES=100000 FUZZ_SEED=7. */
const CASES = Number(process.env['FUZZ_CASES'] ?? 1500)
const SEED = Number(process.env['FUZZ_SEED'] ?? 20_261_122)
const AT_ONCE = 24
/** A connection on which nothing has come for so long may wait for bytes that will not come. */
const QUIET_MS = 120

const TEMPLATES = [
  'GET {T}/seed/{N}/get HTTP/1.1⏎{H}Accept: */*⏎⏎',
  'POST {T}/seed/{N}/length HTTP/1.1⏎{H}Content-Length: 11⏎⏎hello=world',
  'POST {T}/seed/{N}/chunks HTTP/1.1⏎{H}Transfer-Encoding: chunked⏎⏎5⏎hello⏎6;a=b⏎ world⏎0⏎X-Trailer: 1⏎⏎',
  'POST {T}/seed/{N}/one HTTP/1.1⏎{H}Content-Length: 3⏎⏎abcGET {T}/seed/{N}/two?q=1 HTTP/1.1⏎{H}Connection: keep-alive, X-Foo⏎X-Foo: 1⏎⏎',
]

interface Case {
  readonly carrier: Carrier
  readonly bytes: string
}

interface Played extends Case {
  readonly came: string
}

let siege: Siege

beforeAll(async () => {
  siege = await besiege()
})

afterAll(() => siege.end())

function casesOf(count: number): Case[] {
  const random = randomFrom(SEED)
  return Array.from({ length: count }, (_, number) => {
    const carrier = CARRIERS[number % CARRIERS.length] ?? 'forward'
    const seeds = TEMPLATES.map((template) =>
      siege.bytes(carrier, template.replaceAll('{N}', nameOf(number))).toString('latin1'),
    )
    const mutant = mutate(seeds[number % seeds.length] ?? '', random, seeds)
    // Where the mutant has left the parser in step, this is answered and closes the connection.
    const last = siege
      .bytes(carrier, `GET {T}/seed/${nameOf(number)}/last HTTP/1.1⏎{H}Connection: close⏎⏎`)
      .toString('latin1')
    return { carrier, bytes: mutant + last }
  })
}

/** Twice, so that no mutant is taken for another. */
function nameOf(number: number): string {
  return `${number}-${number}`
}

/**
 * Sends a case, and reads until the connection is closed or nothing comes any more: not even while an honest request, which was
 * sent later, has been answered. How long that takes is for the machine to say.
 */
function play({ carrier, bytes }: Case): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = open(siege.address(carrier))
    let came = ''
    const look = async () => {
      const before = came.length
      await askHonestly()
      // Of an answer that has begun, the rest comes.
      if (came.length === before && readMessages(came).rest === '') socket.destroy()
      else if (!socket.destroyed) timer.refresh()
    }
    const timer = setTimeout(() => void look().catch(reject), QUIET_MS)
    socket.on('error', () => undefined)
    socket.on('data', (chunk) => {
      came += chunk.toString('latin1')
      timer.refresh()
    })
    socket.on('close', () => {
      clearTimeout(timer)
      resolve(came)
    })
    socket.write(Buffer.from(bytes, 'latin1'))
  })
}

async function askHonestly(): Promise<void> {
  const bytes = siege.bytes('forward', 'GET {T}/probe-quiet HTTP/1.1⏎{H}Connection: close⏎⏎')
  expect((await sendRaw(siege.forward, bytes, { until: /ok$/, deadlineMs: 60_000 })).status).toBe(200)
}

async function playAll(cases: readonly Case[]): Promise<Played[]> {
  const left = cases.entries()
  const played: Played[] = []
  const one = async () => {
    for (const [at, next] of left) played[at] = { ...next, came: await play(next) }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, one))
  return played
}

/** Heads of whole requests, and of those that were broken off in the body. */
function headsAtUpstream(): string[] {
  return siege.upstream.connections.flatMap(({ bytes }) => {
    const { messages, rest } = readMessages(bytes)
    const [broken] = /^[\s\S]*?\r\n\r\n/.exec(rest) ?? []
    expect(rest === '' || broken !== undefined, JSON.stringify(rest)).toBe(true)
    return [...messages.map(({ head }) => head), ...(broken === undefined ? [] : [broken])]
  })
}

test(`${CASES} bent requests: nothing ends the process, and nothing goes up but what was judged, with our credential`, async () => {
  const played = await playAll(casesOf(CASES))
  await siege.watch(() => Promise.resolve())
  const asked = played.map(({ bytes }) => bytes).join('\n')
  const heads = headsAtUpstream().filter((head) => !head.startsWith('GET /probe-'))
  for (const head of heads) expectJudged(head, asked)
  const sentFor = Map.groupBy(heads, (head) => / \/seed\/(\d+)-\1\//.exec(head)?.[1])
  for (const [number, one] of played.entries()) expectHttp(one, new Set(sentFor.get(String(number))).size)
  // A mutant that says nothing to anybody would test nothing.
  expect(heads.length).toBeGreaterThan(CASES / 4)
  const statuses = new Set(
    played.flatMap(({ came }) => came.match(/HTTP\/1\.1 \d{3}/g) ?? []).map((text) => text.slice(-3)),
  )
  for (const status of ['200', '400', '403', '407', '401']) expect(statuses).toContain(status)
})

/** One credential, the one of the host; no proof; a path that stands in what was sent, byte by byte. */
function expectJudged(head: string, asked: string): void {
  const [host = ''] = valuesIn(head, 'host')
  expect(valuesIn(head, 'host')).toHaveLength(1)
  expect(host).toBe(`api.test:${siege.upstream.port}`)
  expect(valuesIn(head, '(?:proxy[-_])?authorization[-_]*'), head).toEqual([`Bearer ${siege.credentials['api']}`])
  // A mutant may have put its key in a field of another name: that is the caller's own doing, and stands as it was sent.
  for (const line of head.split('\r\n')) if (line.includes(siege.keys.alpha)) expect(asked).toContain(`\n${line}\r\n`)
  const [, path = ''] = /^[A-Z-]+ (\/\S*) HTTP\/1\.1\r\n/.exec(head) ?? []
  expect(path, head).not.toBe('')
  // "http://api.test?q" goes up as "/?q".
  expect(asked.includes(path) || asked.includes(`api.test${path.slice(1)}`), head).toBe(true)
}

/** What the caller got is a row of whole answers; and no more went up than was answered. */
function expectHttp({ bytes, came }: Played, sent: number): void {
  const { messages, rest } = readMessages(came)
  expect(rest, JSON.stringify({ bytes, came })).toBe('')
  for (const { line } of messages) expect(line).toMatch(/^HTTP\/1\.1 \d{3} [A-Z]/)
  expect(came).not.toContain(siege.credentials['api'])
  const answers = messages.filter(({ line }) => !line.startsWith('HTTP/1.1 1'))
  // A caller that was cut off, or has left, may have missed some.
  const isOrderly = valuesIn(answers.at(-1)?.head ?? '', 'connection').includes('close')
  if (isOrderly) expect(sent, JSON.stringify({ bytes, came })).toBeLessThanOrEqual(answers.length)
}
