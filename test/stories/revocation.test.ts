import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Grant } from '../../src/core/grants.ts'
import { timerAt } from '../support/own-time.ts'
import { sendRaw, WHOLE_ANSWER } from '../support/raw-client.ts'
import { eventually } from '../support/sallyport.ts'
import { PROOF } from './crm.ts'
import { CONNECTIONS, type Going, openStage, type Stage } from './under-way.ts'

/** In ms; here it takes a few. */
const AT_ONCE_MS = 1_000

let stage: Stage

beforeAll(async () => {
  stage = await openStage()
})

afterAll(async () => stage?.close())

let serial = 0

function grants(until?: number): readonly Grant[] {
  return CONNECTIONS.map((connection) => ({
    id: `${connection}-${serial}`,
    holder: { caller: 'checkout' },
    connection,
    rules: [],
    until,
  }))
}

/** Lets `checkout` use everything, by grants that no test had before. */
function grant(until?: number): void {
  serial += 1
  stage.sallyport.house.revise({ grants: grants(until), disabled: new Set() })
}

const WAYS = {
  'its grant is taken back': () => stage.sallyport.house.revise({ grants: [], disabled: new Set() }),
  'its connection is switched off': () =>
    stage.sallyport.house.revise({ grants: grants(), disabled: new Set(CONNECTIONS) }),
}

const THINGS = [
  'a download',
  'a download of a known length',
  'a download at a Unix socket',
  'a request without an answer',
  'an upload',
  'a wait for a mint',
  'a WebSocket',
  'a WebSocket handshake',
  'an unopened tunnel',
  'an unopened tunnel in which nothing was said',
  'an opened tunnel in which nothing was said',
  'a download in an opened tunnel',
  'a stream of HTTP/2 in an opened tunnel',
] as const

/** What nobody had answered yet is answered with a refusal; the rest must not look as if it were whole. */
const ANSWERED = new Set<string>([
  'a request without an answer',
  'an upload',
  'a wait for a mint',
  'a WebSocket handshake',
])

async function expectCut(name: string, going: Going): Promise<void> {
  if (ANSWERED.has(name)) {
    await eventually(() => going.text().endsWith('}\n') || undefined, 'a refusal', AT_ONCE_MS)
    expect(going.text()).toMatch(/^HTTP\/1\.1 403 [\s\S]*"code":"access-revoked"/)
  } else {
    // A Unix socket has no reset: there the body is short of its end.
    const end = await eventually(going.ended, 'the end', AT_ONCE_MS)
    if (!name.includes('Unix')) expect(end).toBe('reset')
    expect(going.text()).not.toMatch(/\r\n0\r\n\r\n$/)
  }
  await eventually(() => going.isGone() || undefined, 'the end at the other side', AT_ONCE_MS)
}

describe.each(Object.keys(WAYS) as (keyof typeof WAYS)[] /* the keys of a literal */)('when %s', (way) => {
  test.each(THINGS)('%s is cut at once, and recorded so', async (name) => {
    grant()
    const going = await stage.things[name]?.()
    if (!going) throw new Error(`nothing called ${name}`)
    expect(going.ended()).toBeUndefined()
    WAYS[way]()
    await expectCut(name, going)
    const { connection } = going
    const entry = await stage.sallyport.entry({ code: 'access-revoked', grant: `${connection}-${serial}` })
    expect(entry).toMatchObject({ decision: 'permit', caller: 'checkout', connection })
    expect(entry['reason']).toMatch(/^(?:grant-missing|connection-disabled): /)
    expect(entry['ended']).toBe(ANSWERED.has(name) ? 'complete' : 'broken')
  })
})

test.each(THINGS)('at the end of its grant %s is cut to the millisecond', async (name) => {
  grant()
  const going = await stage.things[name]?.()
  if (!going) throw new Error(`nothing called ${name}`)
  const until = Date.now() + 300
  // The same grants, which have an end now.
  stage.sallyport.house.revise({ grants: grants(until), disabled: new Set() })
  expect(going.ended()).toBeUndefined()
  // Theirs is in this process, too: on a busy machine none is on time.
  const ours = timerAt(until)
  await expectCut(name, going)
  const entry = await stage.sallyport.entry({ code: 'access-revoked', grant: `${going.connection}-${serial}` })
  expect(entry['reason']).toMatch(/^grant-expired: /)
  const cutAt = Date.parse(String(entry['time'])) + Number(entry['totalMs'])
  expect(cutAt).toBeGreaterThanOrEqual(until - 1)
  expect(cutAt).toBeLessThan((await ours) + 250)
})

test.each(['a download', 'a WebSocket', 'an unopened tunnel'])(
  'the slot of %s is free again: the next one finds room once it is granted anew',
  async (name) => {
    for (let round = 0; round < 2; round++) {
      grant()
      const going = await stage.things[name]?.()
      if (!going) throw new Error(`nothing called ${name}`)
      WAYS['its grant is taken back']()
      await expectCut(name, going)
    }
  },
)

test('what another grant lets go on, goes on', async () => {
  grant()
  const going = await stage.things['a download']?.()
  stage.sallyport.house.revise({
    grants: [{ id: 'other', holder: { caller: 'checkout' }, connection: 'crm', rules: [] }],
    disabled: new Set(['chat']),
  })
  const answer = await ask()
  expect([answer.status, going?.ended()]).toEqual([429, undefined])
})

test('the next request is refused', async () => {
  grant()
  WAYS['its grant is taken back']()
  const { text } = await ask()
  expect(text).toContain('"code":"grant-missing"')
})

function ask() {
  const request = `GET http://api.crm.test/next HTTP/1.1\r\nHost: api.crm.test\r\n${PROOF}\r\n`
  return sendRaw(stage.sallyport.door('forward'), request, { until: WHOLE_ANSWER })
}
