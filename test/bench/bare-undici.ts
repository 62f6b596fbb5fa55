import { readFileSync } from 'node:fs'
import http from 'node:http'
import { type Dispatcher, Pool } from 'undici'

/** The least that node:http and undici can do for a relay: no checks, no policy, no credential, no record. */
const [port, ca = ''] = process.argv.slice(2)
const pool = new Pool(`https://api.bench.test:${port}`, {
  connections: 256,
  allowH2: false,
  connect: {
    ca: readFileSync(ca, 'utf8'),
    lookup: (_name, _options, done) => done(null, [{ address: '127.0.0.1', family: 4 }]),
  },
})

const server = http.createServer((request, response) => {
  const headers: string[] = []
  for (let at = 0; at < request.rawHeaders.length; at += 2) {
    if (/^(?:host|connection|proxy-authorization)$/i.test(request.rawHeaders[at] ?? '')) continue
    headers.push(request.rawHeaders[at] ?? '', request.rawHeaders[at + 1] ?? '')
  }
  const path = new URL(request.url ?? '', 'http://api.bench.test').pathname
  const handler: Dispatcher.DispatchHandler = {
    onRequestStart() {},
    onResponseStart(controller, status) {
      const raw = controller.rawHeaders as unknown[]
      response.writeHead(status, raw.map(String))
    },
    onResponseData(controller, chunk) {
      if (!response.write(chunk)) {
        controller.pause()
        response.once('drain', () => controller.resume())
      }
    },
    onResponseEnd: () => void response.end(),
    onResponseError: () => void response.destroy(),
  }
  pool.dispatch({ method: request.method as Dispatcher.HttpMethod, path, headers, body: null }, handler)
})
server.listen(0, '127.0.0.1', () => process.stdout.write(`${JSON.stringify(server.address())}\n`))
