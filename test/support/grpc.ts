import { once } from 'node:events'
import type { Socket } from 'node:net'
import {
  type ChannelOptions,
  Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  type ClientWritableStream,
  credentials,
  Metadata,
  Server,
  ServerCredentials,
  type ServiceDefinition,
  type ServiceError,
  type StatusObject,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js'
import type { Identity } from './certificates.ts'

const toBytes = (text: string) => Buffer.from(text)
const toText = (bytes: Buffer) => bytes.toString()

function method(name: string, requestStream: boolean, responseStream: boolean) {
  const codecs = {
    requestSerialize: toBytes,
    requestDeserialize: toText,
    responseSerialize: toBytes,
    responseDeserialize: toText,
  }
  return { path: `/test.Words/${name}`, requestStream, responseStream, ...codecs }
}

/** A service of words: its messages are text, so that no compiler is needed. */
const WORDS: ServiceDefinition = {
  say: method('Say', false, false),
  repeat: method('Repeat', false, true),
  join: method('Join', true, false),
  talk: method('Talk', true, true),
}

/** A gRPC server with a real certificate. */
export interface GrpcServer {
  readonly port: number
  stop(): void
}

/** Starts one on a port of its own. */
export async function startGrpc(identity: Identity, calls: UntypedServiceImplementation): Promise<GrpcServer> {
  const server = serverOf(calls)
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', credentialsOf(identity), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  )
  return { port, stop: () => server.forceShutdown() }
}

/** One that serves the connections that it is given. */
export function makeGrpc(identity: Identity, calls: UntypedServiceImplementation) {
  const server = serverOf(calls)
  const injector = server.createConnectionInjector(credentialsOf(identity))
  return { accept: (socket: Socket) => injector.injectConnection(socket), stop: () => server.forceShutdown() }
}

function serverOf(calls: UntypedServiceImplementation): Server {
  const server = new Server()
  server.addService(WORDS, calls)
  return server
}

function credentialsOf({ key, cert }: Identity): ServerCredentials {
  return ServerCredentials.createSsl(null, [{ private_key: Buffer.from(key), cert_chain: Buffer.from(cert) }])
}

type Done = (error: ServiceError | null, text?: string) => void

/** The four kinds of call. */
export interface GrpcClient {
  /** `name`: of the method, when it is another than Say. */
  say(word: string, metadata?: Metadata, name?: string): Promise<string>
  repeat(word: string): ClientReadableStream<string>
  join(done: Done): ClientWritableStream<string>
  talk(): ClientDuplexStream<string, string>
  close(): void
}

/** A client that trusts `ca`. Its channel takes the proxy from `grpc_proxy`, now. `options`: of the channel. */
export function connectGrpc(target: string, ca: string, options: ChannelOptions = {}): GrpcClient {
  const client = new Client(target, credentials.createSsl(Buffer.from(ca)), options)
  const path = (name: string) => `/test.Words/${name}`
  return {
    say: (word, metadata = new Metadata(), name = 'Say') =>
      new Promise((resolve, reject) => {
        client.makeUnaryRequest(path(name), toBytes, toText, word, metadata, (error, text = '') =>
          error ? reject(error) : resolve(text),
        )
      }),
    repeat: (word) => client.makeServerStreamRequest(path('Repeat'), toBytes, toText, word),
    join: (done) => client.makeClientStreamRequest(path('Join'), toBytes, toText, done),
    talk: () => client.makeBidiStreamRequest(path('Talk'), toBytes, toText),
    close: () => client.close(),
  }
}

/** The status with which a call ends. */
export async function statusOf(call: NodeJS.EventEmitter): Promise<StatusObject> {
  const [status] = await once(call, 'status')
  return status
}
