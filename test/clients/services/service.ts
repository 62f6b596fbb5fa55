import type { IncomingMessage, ServerResponse } from 'node:http'

/** What an upstream of one sort says to requests that showed its credential. */
export interface Service {
  /** `url`: where its clients believe it to be, for answers that name a further place. Without a final slash. */
  handle(request: IncomingMessage, response: ServerResponse, url: string): Promise<void>
}

/** A file of a service: what is sent, and what it is said to be. */
export interface Served {
  readonly type: string
  readonly body: string | Buffer
}

/** Files by path. Made at the first request: where a client is missing, so may be the tools that make them. */
export function filesService(make: (url: string) => Promise<ReadonlyMap<string, Served>>): Service {
  let made: Promise<ReadonlyMap<string, Served>> | undefined
  return {
    async handle(request, response, url) {
      made ??= make(url)
      const file = (await made).get(request.url ?? '')
      if (file) response.writeHead(200, { 'Content-Type': file.type }).end(file.body)
      else response.writeHead(404).end()
    },
  }
}
