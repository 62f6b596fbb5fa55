import { fileURLToPath } from 'node:url'
import { pathOf } from '../support/debian.ts'
import { type Client, type Ended, type Errand, runProgram } from './client.ts'
import { goProgram } from './go-program.ts'

/** Clients of an API: one request each, at a path that names them. */
export const API_CLIENTS: readonly Client[] = [
  apiClient('curl', {
    needs: ['curl'],
    ways: ['proxy', 'reverse', 'socket'],
    run(url, errand) {
      const socket = errand.env['API_SOCKET']
      const where = socket === undefined ? [] : ['--unix-socket', socket]
      return runProgram(pathOf('curl'), ['-sS', '--fail', ...where, ...keyField('-H', errand), url], errand)
    },
  }),
  apiClient('wget', {
    needs: ['wget'],
    ways: ['proxy', 'reverse'],
    run(url, errand) {
      const quietly = ['--no-verbose', '--tries=1', '--output-document=-']
      return runProgram(pathOf('wget'), [...quietly, ...keyField('--header', errand), url], errand)
    },
  }),
  apiClient('python-urllib', { needs: ['python3'], ways: ['proxy', 'reverse'], run: python('urllib_get.py') }),
  apiClient('python-requests', {
    needs: ['python3', 'requests'],
    ways: ['proxy', 'reverse'],
    method: 'POST',
    run: python('requests_post.py'),
  }),
  apiClient('python-http.client', { needs: ['python3'], ways: ['socket'], run: python('socket_get.py') }),
  apiClient('node-fetch', { needs: [], ways: ['proxy', 'reverse'], run: node('fetch.ts') }),
  apiClient('node-http', { needs: [], ways: ['proxy', 'reverse', 'socket'], run: node('http.ts') }),
  apiClient('go', {
    needs: ['go'],
    ways: ['proxy', 'reverse', 'socket'],
    prepare: () => goProgram(program('get.go')),
    run: async (url, errand) => runProgram(await goProgram(program('get.go')), [url], errand),
  }),
  apiClient('java', {
    needs: ['java', 'javac'],
    ways: ['proxy', 'reverse'],
    run: (url, errand) => runProgram(pathOf('java'), [program('Get.java'), url], errand),
  }),
]

interface Terms extends Pick<Client, 'needs' | 'ways' | 'prepare'> {
  readonly method?: 'POST'
  run(url: string, errand: Errand): Promise<Ended>
}

function apiClient(name: string, { method, run, ...rest }: Terms): Client {
  const path = `/from/${name}`
  const asks = [`${method ?? 'GET'} ${path}`]
  return { ...rest, name, service: 'api', asks, run: (errand) => run(`${errand.url}${path}`, errand) }
}

function keyField(option: string, { env }: Errand): readonly string[] {
  const key = env['API_KEY']
  return key === undefined ? [] : [option, `Authorization: Bearer ${key}`]
}

function python(file: string): Terms['run'] {
  return (url, errand) => runProgram(pathOf('python3'), [program(file), url], errand)
}

function node(file: string): Terms['run'] {
  return (url, errand) => runProgram(process.execPath, [program(file), url], errand)
}

function program(file: string): string {
  return fileURLToPath(new URL(`programs/${file}`, import.meta.url))
}
