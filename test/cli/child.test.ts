import { afterAll, beforeAll, expect, test } from 'vitest'
import { type RawUpstream, startUpstream } from '../support/upstream.ts'
import { CLI, environmentOf, placeFor, start, startScript } from './running.ts'

let upstream: RawUpstream

beforeAll(async () => {
  upstream = await startUpstream()
})

afterAll(() => upstream.close())

const trapping = (signal: string, then: string) =>
  `trap '${then}' ${signal.slice('SIG'.length)}; echo ready; while :; do sleep 0.05; done`

test.each(['SIGTERM', 'SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGWINCH'] as const)(
  '%s is handed on, and what the command makes of it counts',
  async (signal) => {
    const place = placeFor(upstream.port)
    const started = startScript(place, trapping(signal, 'exit 7'))
    await started.said('ready')
    started.process.kill(signal)
    expect(await started.ended()).toBe(7)
    expect(place.left()).toEqual([])
  },
)

test('a command that goes on after a signal is not left alone', async () => {
  const place = placeFor(upstream.port)
  const started = startScript(place, trapping('SIGTERM', 'count=1$count; echo got $count; test $count != 11 || exit 9'))
  await started.said('ready')
  started.process.kill('SIGTERM')
  await started.said('got 1\n')
  expect(place.left()).toHaveLength(1)
  started.process.kill('SIGTERM')
  expect(await started.ended()).toBe(9)
  expect(place.left()).toEqual([])
})

test('a command that does not care for a signal dies of it', async () => {
  const place = placeFor(upstream.port)
  const started = startScript(place, 'echo ready; exec sleep 60')
  await started.said('ready')
  started.process.kill('SIGHUP')
  expect(await started.ended()).toBe(129)
  expect(place.left()).toEqual([])
})

test('what a command leaves behind does not keep us', async () => {
  const place = placeFor(upstream.port)
  const started = startScript(place, 'sleep 60 >/dev/null 2>&1 & echo pid $!; exit 3')
  const pid = /pid (\d+)/.exec(await started.said('pid'))?.[1]
  expect(await started.ended()).toBe(3)
  // Signal 0: it is still there, and not ours to end.
  expect(process.kill(Number(pid), 0)).toBe(true)
  process.kill(Number(pid), 'SIGKILL')
  expect(place.left()).toEqual([])
})

/** Ends with the number of times it was interrupted, once it is clear that there are no more. */
const COUNTING = `
  let count = 0
  process.on('SIGINT', () => { if (++count === 1) setTimeout(() => process.exit(count), 300) })
  console.log('ready')
  setInterval(() => {}, 1000)
`

test.each([
  ['', 'the terminal'],
  ['true | ', 'a pipe'],
])(
  'Ctrl-C reaches a command once: from the terminal, which tells us as well (%s standard input is %s)',
  async (feed) => {
    const place = placeFor(upstream.port)
    const words = [...CLI, 'run', '--config', place.config, '--', process.execPath, '-e', COUNTING]
    const line = feed + words.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ')
    // bash waits for what it started and says how that ended; dash dies of the Ctrl-C itself.
    const started = start(['script', '-qec', line, '/dev/null'], { ...environmentOf(place), SHELL: '/bin/bash' })
    await started.said('ready')
    started.process.stdin?.write('\x03')
    expect(await started.ended()).toBe(1)
    expect(place.left()).toEqual([])
  },
)
