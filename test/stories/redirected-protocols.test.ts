import { once } from 'node:events'
import { connect } from 'node:http2'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { pipeline } from 'node:stream'
import {
  Metadata,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { WebSocket } from 'ws'
import { connectGrpc, type GrpcClient, makeGrpc, statusOf } from '../support/grpc.ts'
import { ask } from '../support/http2.ts'
import { canMakeNetworks } from '../support/networks.ts'
import { eventually } from '../support/sallyport.ts'
import { talk } from '../support/tunnel.ts'
import { OK } from '../support/upstream.ts'
import { authority, CREDENTIAL } from './crm.ts'
import { type Flood, MiB, settled, startFlood } from './flood.ts'
import { openRedirected, PORTS, type RedirectedHouse } from './redirected-house.ts'

const WHOLE = /\r\n\r\nok$/
const GiB = 1024 * MiB
const BEARER = `Bearer ${CREDENTIAL}`

describe.skipIf(!canMakeNetworks())('through a transparent door', () => {
  let house: RedirectedHouse
  let flood: Flood
  const words: Metadata[] = []

  beforeAll(async () => {
    const grpc = makeGrpc(await authority.issue(['words.test']), {
      say: (call: ServerUnaryCall<string, string>, done: sendUnaryData<string>) => {
        words.push(call.metadata)
        done(call.request === 'refused' ? { code: status.NOT_FOUND, details: 'no such word' } : null, call.request)
      },
      repeat: (call: ServerWritableStream<string, string>) => {
        for (let more = 0; more < 8; more++) call.write(call.request)
        call.end()
      },
      talk: (call: ServerDuplexStream<string, string>) => {
        call.on('data', (word: string) => call.write(`${word}?`)).on('end', () => call.end())
      },
    })
    house = await openRedirected({
      connections: { flood: { port: PORTS.flood }, words: { port: PORTS.words, http2: true } },
      async world(at) {
        flood = await startFlood(await authority.issue(['flood.test']), at(PORTS.flood))
        at(PORTS.words)(createServer((socket) => grpc.accept(socket)))
      },
    })
  }, 60_000)

  afterAll(async () => {
    await house?.close()
    await flood?.close()
  })

  async function secured(host: string, port: number, protocol = 'http/1.1') {
    const socket = house.secure(host, { port, ALPNProtocols: [protocol] })
    await once(socket, 'secureConnect')
    expect(socket.alpnProtocol).toBe(protocol)
    return socket
  }

  describe.each([
    ['ws', 80],
    ['wss', PORTS.chat],
  ] as const)('%s:', (scheme, port) => {
    function chat(host: string, path: string, at: number = port): WebSocket {
      const options = { createConnection: () => (scheme === 'ws' ? house.app(at) : house.secure(host, { port: at })) }
      return new WebSocket(`${scheme}://${host}:${at}${path}`, options)
    }

    test('messages of any size go both ways, and the handshake has the credential', async () => {
      const connected = once(house.chat, 'connection')
      const client = chat('chat.test', `/${scheme}`)
      await once(client, 'open')
      const [, { headers }] = await connected
      expect(headers).toMatchObject({ authorization: BEARER, host: `chat.test:${PORTS.chat}` })
      for (const size of [1, 100_000]) {
        client.send('a'.repeat(size))
        const [data] = (await once(client, 'message')) as [Buffer] // ws gives Buffers
        expect(data).toHaveLength(size)
      }
      client.close(1000)
      expect((await once(client, 'close'))[0]).toBe(1000)
      expect(await house.entry({ path: `/${scheme}` })).toMatchObject({
        caller: 'app',
        connection: 'chat',
        status: 101,
        ended: 'complete',
        originalDestination: `203.0.113.7:${port}`,
      })
    })

    test('where the connection has none, the handshake is refused', async () => {
      const path = `/no-${scheme}`
      const client = chat('flood.test', path, scheme === 'ws' ? 80 : PORTS.flood)
      client.on('error', () => undefined)
      const [, answer] = await once(client, 'unexpected-response')
      expect(answer.statusCode).toBe(403)
      expect(await house.entry({ path })).toMatchObject({ code: 'upgrade-refused', connection: 'flood' })
    })
  })

  test('HTTP/2: requests at once in one connection, each with the credential, and each in the record', async () => {
    const socket = await secured('crm.test', PORTS.crm, 'h2')
    const session = connect('https://crm.test', { createConnection: () => socket })
    onTestFinished(() => session.destroy())
    const paths = Array.from({ length: 20 }, (_, at) => `/h2/${at}`)
    const all = await Promise.all(paths.map((path) => ask(session, { ':path': path })))
    expect(all.map(({ status: code, body, isWhole }) => [code, body, isWhole])).toEqual(
      paths.map(() => [200, 'ok', true]),
    )
    for (const path of paths) {
      const head = house.upstream.heads().filter((one) => one.includes(` ${path} `))
      expect(head).toEqual([expect.stringContaining(`Authorization: ${BEARER}\r\n`)])
      expect(await house.entry({ path })).toMatchObject({ caller: 'app', originalDestination: '203.0.113.7:443' })
    }
  })

  describe('gRPC', () => {
    let client: GrpcClient

    beforeAll(async () => {
      // grpc-js dials names, addresses and paths: behind the path is the socket of an app.
      const path = join(house.sallyport.directory, 'grpc.sock')
      const near = createServer((socket) => pipeline(socket, house.app(PORTS.words), socket, () => undefined))
      near.listen(path)
      client = connectGrpc(`unix:${path}`, house.ca, {
        'grpc.ssl_target_name_override': 'words.test',
        'grpc.default_authority': `words.test:${PORTS.words}`,
      })
      return () => {
        client.close()
        near.close()
      }
    })

    test('the server sees our credential instead of the one of the app', async () => {
      const metadata = new Metadata()
      metadata.set('authorization', 'Bearer of-the-app')
      expect(await client.say('hello', metadata)).toBe('hello')
      expect(words.at(-1)?.get('authorization')).toEqual([BEARER])
      await expect(client.say('refused')).rejects.toMatchObject({ code: status.NOT_FOUND, details: 'no such word' })
    })

    test('a stream comes whole with its trailers, and both sides of a conversation take turns', async () => {
      const long = 'x'.repeat(MiB)
      const stream = client.repeat(long)
      const ended = statusOf(stream)
      const got: number[] = []
      for await (const word of stream) got.push(word.length)
      expect(got).toEqual(Array(8).fill(long.length))
      expect(await ended).toMatchObject({ code: status.OK })
      const call = client.talk()
      const answers = call[Symbol.asyncIterator]()
      for (const word of ['who', 'why']) {
        call.write(word)
        expect(await answers.next()).toMatchObject({ value: `${word}?` })
      }
      call.end()
      expect(await answers.next()).toMatchObject({ done: true })
    })
  })

  describe.each(['http', 'https'] as const)('%s:', (scheme) => {
    async function line(host: string, port: number): Promise<Socket> {
      return scheme === 'http' ? house.app(80) : secured(host, port)
    }
    const authorityOf = (host: string, port: number) => (scheme === 'http' ? host : `${host}:${port}`)

    test('events come one by one, while the stream is open, and so does an upload go', async () => {
      const second = Promise.withResolvers<void>()
      const path = `/events-${scheme}`
      const head = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'
      house.answers.set(path, [{ send: `${head}5\r\none\n\n\r\n` }, { wait: second.promise }, { send: '3\r\ntwo\r\n' }])
      const socket = await line('crm.test', PORTS.crm)
      let text = ''
      socket.on('data', (chunk: Buffer) => (text += chunk.toString()))
      const more = 'Transfer-Encoding: chunked\r\n\r\n6\r\nupload\r\n'
      socket.write(`POST ${path} HTTP/1.1\r\nHost: ${authorityOf('crm.test', PORTS.crm)}\r\n${more}`)
      await eventually(() => text.includes('one\n\n') || undefined, 'the first event')
      expect(text).not.toContain('two')
      const got = () => house.upstream.connections.find(({ bytes }) => bytes.includes(` ${path} `))?.bytes
      await eventually(() => got()?.includes('upload') || undefined, 'the first part of the upload')
      socket.write('5\r\nlater\r\n')
      await eventually(() => got()?.includes('later') || undefined, 'the second part')
      second.resolve()
      await eventually(() => text.includes('two') || undefined, 'the second event')
    })

    test('an app that does not read holds the upstream back', async () => {
      const before = flood.written()
      const socket = (await line('flood.test', PORTS.flood)).pause()
      socket.write(`GET /${GiB} HTTP/1.1\r\nHost: ${authorityOf('flood.test', PORTS.flood)}\r\n\r\n`)
      expect(await settled(() => flood.written() - before)).toBeLessThan(32 * MiB)
      socket.destroy()
    })

    test('an upstream that does not read holds the app back', async () => {
      const socket = await line('flood.test', PORTS.flood)
      const head = `POST /unread HTTP/1.1\r\nHost: ${authorityOf('flood.test', PORTS.flood)}\r\n`
      socket.write(`${head}Content-Length: ${GiB}\r\n\r\n`)
      const chunk = Buffer.alloc(MiB)
      const push = () => {
        while (socket.write(chunk)) {}
      }
      socket.on('drain', push)
      push()
      expect(await settled(() => socket.bytesWritten)).toBeLessThan(32 * MiB)
      socket.destroy()
    })

    test('a connection serves one request after the other, and says one word of each', async () => {
      const socket = await line('crm.test', PORTS.crm)
      for (const at of [1, 2, 3]) {
        const path = `/kept-${scheme}-${at}`
        house.answers.set(path, OK)
        const request = `GET ${path} HTTP/1.1\r\nHost: ${authorityOf('crm.test', PORTS.crm)}\r\n\r\n`
        expect((await talk(socket, request, WHOLE)).text).toMatch(/^HTTP\/1\.1 200 /)
        expect(await house.entry({ path })).toMatchObject({ caller: 'app', status: 200, ended: 'complete' })
      }
    })
  })
})
