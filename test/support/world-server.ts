import { readFileSync } from 'node:fs'
import http2 from 'node:http2'
import { createServer, type Socket } from 'node:net'
import { canonicalAddress } from '../../src/wire/address.ts'

/**
 * Every server of the world, as a process of its own: HTTPS on 443, and sockets on 80 and 22 on which nothing should ever
 * come in. Prints one JSON line for each connection and for each request, to which it answers with a fixed text.
 * Arguments: file of the key, file of the certificate.
 */
const [key = '', cert = ''] = process.argv.slice(2).map((file) => readFileSync(file, 'utf8'))

function say(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

function came(socket: Socket): void {
  socket.on('error', () => undefined)
  say({ connection: `${canonicalAddress(socket.localAddress ?? '')} ${socket.localPort}` })
}

const https = http2.createSecureServer({ key, cert, allowHTTP1: true }, (request, response) => {
  const { method, url, headers, httpVersion } = request
  say({ request: `${method} ${url}`, httpVersion, headers })
  response.end('from the real server\n')
})
https.on('connection', came)
const quiet = createServer(came)
const banner = createServer((socket) => {
  came(socket)
  socket.end('SSH-2.0-world\r\n')
})

https.listen(443, '::', () => quiet.listen(80, '::', () => banner.listen(22, '::', () => say({ ready: true }))))
// With whoever started it.
process.stdin.on('end', () => process.exit()).resume()
