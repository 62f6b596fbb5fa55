import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Grant } from '../../src/core/grants.ts'
import { compileRule } from '../../src/core/rule.ts'
import { CALLER_KEY, PROOF } from '../stories/crm.ts'
import { CONNECTIONS, type Going, openStage, type Stage } from '../stories/under-way.ts'
import { HandClock } from '../support/hand-clock.ts'
import { timed } from '../support/own-time.ts'
import { sendRaw, WHOLE_ANSWER } from '../support/raw-client.ts'
import { eventually } from '../support/sallyport.ts'
import { openTunnel } from '../support/tunnel.ts'

const HOUR_MS = 3_600_000

let stage: Stage
const clock = new HandClock()

beforeAll(async () => {
  stage = await openStage(clock)
})

afterAll(async () => stage?.close())

function grants(terms: Partial<Grant> = {}): readonly Grant[] {
  return CONNECTIONS.map((connection) => ({
    id: `${connection}-grant`,
    holder: { caller: 'checkout' },
    connection,
    rules: [],
    ...terms,
  }))
}

function revise(all: readonly Grant[]): void {
  stage.sallyport.house.revise({ grants: all, disabled: new Set() })
}

async function begin(name: string): Promise<Going> {
  const going = await stage.things[name]?.()
  if (!going) throw new Error(`nothing called ${name}`)
  return going
}

async function ask(path = '/next', method = 'GET'): Promise<string> {
  const request = `${method} http://api.crm.test${path} HTTP/1.1\r\nHost: api.crm.test\r\n${PROOF}\r\n`
  return (await sendRaw(stage.sallyport.door('forward'), request, { until: WHOLE_ANSWER })).text
}

test('H03: a clock set back by an hour makes no grant last longer, neither for what is new nor for what is under way', async () => {
  const until = clock.now() + 2_000
  revise(grants({ until }))
  const going = await begin('a WebSocket')
  clock.jumpWall(-HOUR_MS)
  clock.advance(2_000)
  expect(clock.now()).toBeLessThan(until)
  expect(await ask()).toContain('"code":"grant-expired"')
  expect(await eventually(going.ended, 'the end', 2_500)).toBe('reset')
  clock.jumpWall(HOUR_MS)
})

test('H03: a clock set ahead by an hour ends what would have ended by then', async () => {
  revise(grants({ until: clock.now() + HOUR_MS }))
  const going = await begin('an unopened tunnel')
  clock.jumpWall(HOUR_MS)
  expect(await ask()).toContain('"code":"grant-expired"')
  expect(await eventually(going.ended, 'the end', 2_500)).toBe('reset')
  clock.jumpWall(-HOUR_MS)
})

test('H04: what is under way is no way around a rule that came later', async () => {
  revise(grants())
  const [download, chat] = [await begin('a download'), await begin('a WebSocket')]
  revise(grants({ rules: [compileRule({ methods: ['GET'], paths: ['/chat'] })] }))
  expect(await eventually(download.ended, 'the end', 1_000)).toBe('reset')
  expect(await ask('/stream/1')).toContain('"code":"rule-not-matched"')
  expect(chat.ended()).toBeUndefined()
})

test('H04: the grant of a group is no grant of a caller of the same name', () => {
  revise(grants({ holder: { group: 'checkout' } }))
  return expect(ask()).resolves.toContain('"code":"grant-missing"')
})

test('H16 F12: a grant that goes during a download and in open tunnels ends them all, and the next is refused', async () => {
  revise(grants())
  const all = [await begin('a download'), await begin('an unopened tunnel'), await begin('a WebSocket')]
  const { tookMs } = await timed(async () => {
    revise([])
    for (const going of all) {
      expect(await eventually(going.ended, 'the end', 1_000)).toBe('reset')
      await eventually(() => going.isGone() || undefined, 'the end at the other side', 1_000)
    }
  })
  expect(tookMs).toBeLessThan(1_000)
  expect(await ask()).toContain('"code":"grant-missing"')
  const target = { fields: PROOF }
  const { text } = await openTunnel(stage.sallyport.door('forward'), 'passed.test:1', target)
  expect(text).toContain(' 403 ')
  const entry = await stage.sallyport.entry({ code: 'access-revoked', connection: 'passed', bytesOut: 5 })
  expect(entry).toMatchObject({ tunnel: 'unopened', ended: 'broken', grant: 'passed-grant' })
  expect(JSON.stringify(entry)).not.toContain(CALLER_KEY)
})
