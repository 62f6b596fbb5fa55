// A port on loopback that is a Unix socket elsewhere: node door.mjs PORT SOCKET. Bytes go through as they come.
import { connect, createServer } from 'node:net'
import { pipeline } from 'node:stream'

const [port, path] = process.argv.slice(2)

createServer({ allowHalfOpen: true }, (near) => {
  const far = connect({ path, allowHalfOpen: true })
  // One that fails takes the other along; what was wrong is for Sallyport to record.
  pipeline(near, far, near, () => undefined)
}).listen(Number(port), '127.0.0.1')

process.on('SIGTERM', () => process.exit(0))
