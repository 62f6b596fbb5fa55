// An upstream within the machine of test/support/systemd: it answers with the credential that it was shown, when told to.
import { createServer } from 'node:http'

createServer((request, response) => {
  setTimeout(() => response.end(`${request.headers.authorization}\n`), Number(request.headers['x-wait'] ?? 0))
}).listen(18080, '127.0.0.1')
