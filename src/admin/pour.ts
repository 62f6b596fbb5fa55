import type { IncomingMessage, ServerResponse } from 'node:http'
import { pipeline, type Readable } from 'node:stream'
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
import { PROTECTIONS } from './refusal.ts'

interface Ends {
  readonly incoming: IncomingMessage
  readonly outgoing: ServerResponse
}

/**
 * Answers with a stream, past the adapter of Hono: that one ends a stream which fails as if it were whole, with the message
 * of the error as its last words. Here what fails, and a client that is cut, breaks the connection; a client that goes ends
 * the stream.
 */
export function pour(source: Readable, type: string, { incoming, outgoing }: Ends): Response {
  outgoing.writeHead(200, { ...PROTECTIONS, 'Content-Type': type })
  outgoing.flushHeaders()
  if (incoming.method === 'HEAD') {
    source.destroy()
    outgoing.end()
  } else {
    pipeline(source, outgoing, (error) => {
      if (error) outgoing.destroy()
    })
  }
  return RESPONSE_ALREADY_SENT
}
