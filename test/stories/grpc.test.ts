import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  Metadata,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connectGrpc, type GrpcClient, type GrpcServer, startGrpc, statusOf } from '../support/grpc.ts'
import { eventually, type Running } from '../support/sallyport.ts'
import { authority, CALLER_KEY, CREDENTIAL, doorOf, startCrm, stopCrm } from './crm.ts'

/** More than fits into any window on the way. */
const LONG = 'x'.repeat(1024 * 1024)

let server: GrpcServer
let running: Running
let client: GrpcClient
type Done = sendUnaryData<string>

/** Metadata of the calls that the server has seen. */
const seen: Metadata[] = []
let cancelled = 0

beforeAll(async () => {
  server = await startGrpc(await authority.issue(['api.crm.test']), {
    say: (call: ServerUnaryCall<string, string>, done: Done) => {
      seen.push(call.metadata)
      const isRefused = call.request === 'refused'
      done(isRefused ? { code: status.NOT_FOUND, details: 'no such word' } : null, call.request)
    },
    repeat: (call: ServerWritableStream<string, string>) => {
      call.on('cancelled', () => cancelled++)
      call.write(call.request)
      if (call.request === 'for ever') return
      for (let more = 0; more < 7; more++) call.write(call.request)
      call.end()
    },
    join: (call: ServerReadableStream<string, string>, done: Done) => {
      const words: string[] = []
      call.on('data', (word: string) => words.push(word))
      call.on('end', () => done(null, words.join(' ')))
    },
    talk: (call: ServerDuplexStream<string, string>) => {
      call.on('data', (word: string) => call.write(`${word}?`))
      call.on('end', () => call.end())
    },
  })
  running = await startCrm({
    port: server.port,
    connection: { http2: true },
    settings: {
      ca: { directory: 'ca' },
      grants: [{ caller: 'checkout', connection: 'crm', rules: [{ methods: ['POST'], paths: ['/test.Words/*'] }] }],
    },
  })
  process.env['grpc_proxy'] = `http://checkout:${CALLER_KEY}@${doorOf(running, 'forward')}`
  client = connectGrpc(`api.crm.test:${server.port}`, readFileSync(join(running.directory, 'ca', 'ca.pem'), 'utf8'))
})

afterAll(async () => {
  delete process.env['grpc_proxy']
  client?.close()
  server?.stop()
  await stopCrm(running)
})

test('the server sees our credential, exactly once, and nothing of the caller', async () => {
  const metadata = new Metadata()
  metadata.set('authorization', 'Bearer placeholder')
  metadata.set('x-trace', 'kept')
  expect(await client.say('hello', metadata)).toBe('hello')
  const last = seen.at(-1)
  expect(last?.get('authorization')).toEqual([`Bearer ${CREDENTIAL}`])
  expect(last?.get('x-trace')).toEqual(['kept'])
  expect(JSON.stringify(last?.toJSON())).not.toContain(CALLER_KEY)
})

test('an error comes as the status it was, though it is nothing but trailers', async () => {
  await expect(client.say('refused')).rejects.toMatchObject({ code: status.NOT_FOUND, details: 'no such word' })
})

test('a stream from the server comes whole, however slowly it is read, and its trailers last', async () => {
  const call = client.repeat(LONG)
  const ended = statusOf(call)
  const words: number[] = []
  for await (const word of call) {
    words.push(word.length)
    await new Promise((resolve) => setImmediate(resolve))
  }
  expect(words).toEqual(Array(8).fill(LONG.length))
  expect(await ended).toMatchObject({ code: status.OK })
})

test('a stream to the server arrives whole', async () => {
  const joined = Promise.withResolvers<string | undefined>()
  const call = client.join((error, text) => (error ? joined.reject(error) : joined.resolve(text)))
  for (const word of ['a', LONG, 'z']) call.write(word)
  call.end()
  expect(await joined.promise).toBe(`a ${LONG} z`)
})

test('both sides of a conversation take turns, while neither has ended', async () => {
  const call = client.talk()
  const ended = statusOf(call)
  const answers = call[Symbol.asyncIterator]()
  for (const word of ['who', 'what', 'why']) {
    call.write(word)
    expect(await answers.next()).toMatchObject({ value: `${word}?` })
  }
  call.end()
  expect(await answers.next()).toMatchObject({ done: true })
  expect(await ended).toMatchObject({ code: status.OK })
})

test('a caller that cancels is heard by the server', async () => {
  const call = client.repeat('for ever')
  call.on('error', () => undefined)
  await new Promise((resolve) => call.once('data', resolve))
  call.cancel()
  await eventually(() => (cancelled === 1 ? true : undefined), 'the cancellation')
  const entry = await eventually(
    async () => (await running.audit(1)).findLast(({ ended }) => ended === 'gone'),
    'the entry of what was cancelled',
  )
  expect(entry).toMatchObject({ path: '/test.Words/Repeat', decision: 'permit' })
})

test('a call that no rule lets through is refused as gRPC says it, and never reaches the server', async () => {
  const before = seen.length
  const refusal = client.say('hello', new Metadata(), 'Say/Louder')
  await expect(refusal).rejects.toMatchObject({ code: status.PERMISSION_DENIED })
  expect(seen).toHaveLength(before)
})
