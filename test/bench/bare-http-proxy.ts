import { readFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import httpProxy from 'http-proxy'

/** http-proxy 1.18.1 as its users run it at best: with a keep-alive agent. */
const [port, ca = ''] = process.argv.slice(2)
const agent = new https.Agent({
  keepAlive: true,
  maxSockets: 256,
  ca: readFileSync(ca, 'utf8'),
  lookup: (_name, _options, done) => done(null, [{ address: '127.0.0.1', family: 4 }]),
})
const proxy = httpProxy.createProxyServer({ target: `https://api.bench.test:${port}`, agent, changeOrigin: true })
proxy.on('error', (_error, _request, response) => response.destroy())

const server = http.createServer((request, response) => {
  request.url = new URL(request.url ?? '', 'http://api.bench.test').pathname
  proxy.web(request, response)
})
server.listen(0, '127.0.0.1', () => process.stdout.write(`${JSON.stringify(server.address())}\n`))
