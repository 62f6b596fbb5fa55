import http from 'node:http'
import { setImmediate as breathe } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { Tail } from '../../src/admin/tail.ts'
import type { AuditLine } from '../../src/core/audit-line.ts'
import { eventually } from '../support/sallyport.ts'
import { openTestDoor, type TestDoor } from './door.ts'

function lineOf(seq: number, keys: Partial<AuditLine['keys']> = {}, filler = ''): AuditLine {
  const line = JSON.stringify({ msg: 'ask', time: new Date(seq).toISOString(), seq, filler })
  return { line, instance: 'one', run: 'run', seq, hash: 'h', keys: { time: seq, kind: 'ask', ...keys } }
}

/** Somebody who follows the audit, and what has come so far. */
async function follow(door: TestDoor, path = '/v1/audit/tail', headers: http.OutgoingHttpHeaders = {}) {
  const request = http.get({
    host: '127.0.0.1',
    port: door.address.split(':')[1],
    path,
    agent: false,
    headers: { Authorization: `Bearer ${door.keys.viewer}`, ...headers },
  })
  onTestFinished(() => void request.destroy())
  const response = await new Promise<http.IncomingMessage>((resolve, reject) =>
    request.on('response', resolve).on('error', reject),
  )
  const lines: string[] = []
  const found: string[] = []
  let rest = ''
  let end: 'clean' | 'cut' | undefined
  // What was read is not read again: some megabytes come here, and are looked at often.
  response.setEncoding('utf8').on('data', (chunk: string) => {
    const parts = (rest + chunk).split('\n')
    rest = parts.pop() ?? ''
    lines.push(...parts)
    for (const line of parts) if (line.startsWith('id: ')) found.push(line.slice('id: '.length))
  })
  response.on('end', () => (end = 'clean')).on('error', () => (end = 'cut'))
  const text = () => [...lines, rest].join('\n')
  return { response, text, ids: () => found, end: () => end, leave: () => request.destroy() }
}

const until = (look: () => boolean, what: string) => eventually(() => look() || undefined, what)

test('lines come as events, as they were written, in order', async () => {
  const tail = new Tail()
  const door = await openTestDoor({ over: { tail } })
  const { response, text, ids } = await follow(door)
  expect(response.headers['content-type']).toBe('text/event-stream')
  for (let seq = 1; seq <= 3; seq++) tail.push(lineOf(seq))
  await until(() => ids().length === 3, 'three events')
  expect(ids()).toEqual(['run:1', 'run:2', 'run:3'])
  expect(text()).toContain(`id: run:2\nevent: audit\ndata: ${lineOf(2).line}\n\n`)
})

test('who comes back goes on where it was', async () => {
  const tail = new Tail()
  const door = await openTestDoor({ over: { tail } })
  const leave = tail.join(() => undefined)
  for (let seq = 1; seq <= 3; seq++) tail.push(lineOf(seq))
  leave()
  for (let seq = 4; seq <= 5; seq++) tail.push(lineOf(seq))
  const { ids, text } = await follow(door, '/v1/audit/tail', { 'Last-Event-ID': 'run:3' })
  await until(() => ids().length === 2, 'what was missed')
  tail.push(lineOf(6))
  await until(() => ids().length === 3, 'what came after it')
  expect(ids()).toEqual(['run:4', 'run:5', 'run:6'])
  expect(text()).not.toContain('event: gap')
})

test('where nobody follows, nothing is kept', async () => {
  const tail = new Tail({ keptMs: 1 })
  tail.push(lineOf(1))
  expect(tail.after('run:1')).toBeUndefined()
  const leave = tail.join(() => undefined)
  tail.push(lineOf(2))
  expect(tail.after('run:2')).toEqual([])
  leave()
  await until(() => tail.after('run:2') === undefined, 'what was kept to be forgotten')
})

test.each(['run:3', 'nonsense'])('who comes back too late, with %s, is told that there is a gap', async (id) => {
  const tail = new Tail({ kept: 10 })
  const door = await openTestDoor({ over: { tail } })
  for (let seq = 1; seq <= 100; seq++) tail.push(lineOf(seq))
  const { text, ids } = await follow(door, '/v1/audit/tail', { 'Last-Event-ID': id })
  await until(() => text().includes('event: gap\ndata: {}\n\n'), 'a gap')
  tail.push(lineOf(101))
  await until(() => ids().length === 1, 'the next line')
})

test('only what was asked for comes', async () => {
  const tail = new Tail()
  const door = await openTestDoor({ over: { tail } })
  const { ids } = await follow(door, '/v1/audit/tail?caller=checkout&kind=ask')
  tail.push(lineOf(1, { caller: 'other' }))
  tail.push(lineOf(2, { kind: 'change', caller: 'checkout' }))
  tail.push(lineOf(3, { caller: 'checkout' }))
  await until(() => ids().length > 0, 'an event')
  expect(ids()).toEqual(['run:3'])
})

test('a dead connection is found by what is said while there is nothing to say', async () => {
  const door = await openTestDoor({ over: { tail: new Tail({ heartbeatMs: 10 }) } })
  const { text } = await follow(door)
  await until(() => /(?:: nothing new\n\n){3}/.test(text()), 'three heartbeats')
})

test('who does not read is cut; the audit, and who does read, go on', async () => {
  const tail = new Tail({ queueBytes: 64 * 1024 })
  const door = await openTestDoor({ over: { tail } })
  const slow = await follow(door)
  const quick = await follow(door)
  slow.response.pause()
  let seq = 0
  // What the kernel takes for a client that does not read is some megabytes.
  while (slow.end() === undefined && seq < 3000) {
    for (let at = 0; at < 10; at++) tail.push(lineOf(++seq, {}, 'x'.repeat(4096)))
    await until(() => quick.ids().length === seq, 'what the quick one reads')
    if (seq === 2500) slow.response.resume()
  }
  expect(slow.end()).toBe('cut')
  expect(slow.ids().length).toBeLessThan(seq)
  expect(quick.end()).toBeUndefined()
})

test('only so many follow at once, and who leaves makes room', async () => {
  const door = await openTestDoor({ over: { tail: new Tail({ clients: 2 }) } })
  const one = await follow(door)
  await follow(door)
  expect((await door.ask('GET', '/v1/audit/tail')).json['code']).toBe('too-many-tails')
  one.leave()
  const third = await eventually(async () => {
    const next = await follow(door)
    return next.response.statusCode === 200 ? next : undefined
  }, 'room for another')
  expect(third.response.statusCode).toBe(200)
})

test('after some time a client has to come back, and to prove itself again', async () => {
  const door = await openTestDoor({ over: { tail: new Tail({ lifeMs: 30 }) } })
  const { end } = await follow(door)
  await until(() => end() !== undefined, 'the end')
  expect(end()).toBe('clean')
})

test('the door closes while somebody follows', async () => {
  const door = await openTestDoor()
  const { end } = await follow(door)
  await breathe()
  await door.close()
  await until(() => end() !== undefined, 'the end')
})
