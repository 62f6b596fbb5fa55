// Node's http and https, over TCP or, where API_SOCKET names one, over a Unix socket.
import { get } from 'node:http'
import { get as getSecurely } from 'node:https'

const [url = ''] = process.argv.slice(2)
const { API_KEY: key, API_SOCKET: socketPath } = process.env
const options = {
  headers: key === undefined ? {} : { Authorization: `Bearer ${key}` },
  ...(socketPath !== undefined && { socketPath }),
}
const request = url.startsWith('https:') ? getSecurely(url, options) : get(url, options)
request.on('response', (answer) => {
  answer.pipe(process.stdout)
  process.exitCode = answer.statusCode === 200 ? 0 : 1
})
