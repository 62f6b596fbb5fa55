import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { pathOf } from '../../support/debian.ts'
import type { Service } from './service.ts'

const BACKEND = '/usr/lib/git-core/git-http-backend'

/** `/tiny.git`, to clone and to push to, by git's own server. The message of its one commit is these words. */
export function gitServer(directory: string, words: string): Service {
  let isMade = false
  return {
    async handle(request, response) {
      if (!isMade) makeRepository(directory, words)
      isMade = true
      await answer(request, response, directory)
    },
  }
}

function makeRepository(directory: string, words: string): void {
  const repository = join(directory, 'tiny.git')
  mkdirSync(repository)
  const git = (...args: readonly string[]) =>
    execFileSync(pathOf('git'), ['-C', repository, ...IDENTITY, ...args], { env: quiet(directory), encoding: 'utf8' })
  git('init', '--quiet', '--bare', '--initial-branch=main')
  const tree = git('hash-object', '-t', 'tree', '-w', '/dev/null').trim()
  git('update-ref', 'refs/heads/main', git('commit-tree', '-m', words, tree).trim())
}

const IDENTITY = ['-c', 'user.name=server', '-c', 'user.email=server@git.client.test']

/** Nothing of this user's own settings. */
function quiet(home: string): NodeJS.ProcessEnv {
  return { PATH: '/usr/bin:/bin', HOME: home, GIT_CONFIG_NOSYSTEM: '1' }
}

/** One request to the CGI program, and what it writes as the answer. @see RFC 3875 */
async function answer(request: IncomingMessage, response: ServerResponse, directory: string): Promise<void> {
  const backend = spawn(BACKEND, { env: variables(request, directory), stdio: ['pipe', 'pipe', 'inherit'] })
  const [, output] = await Promise.all([
    pipeline(request, backend.stdin),
    buffer(backend.stdout),
    once(backend, 'close'),
  ])
  const end = output.indexOf('\r\n\r\n')
  const fields = new Map(output.toString('latin1', 0, end).split('\r\n').map(split))
  const status = Number.parseInt(fields.get('Status') ?? '200', 10)
  fields.delete('Status')
  response.writeHead(status, Object.fromEntries(fields)).end(output.subarray(end + 4))
}

function variables(request: IncomingMessage, directory: string): NodeJS.ProcessEnv {
  const [path = '', query = ''] = (request.url ?? '').split('?')
  const { headers } = request
  return {
    ...quiet(directory),
    GIT_PROJECT_ROOT: directory,
    GIT_HTTP_EXPORT_ALL: '1',
    // Who may push: whoever showed the credential.
    REMOTE_USER: 'client',
    REQUEST_METHOD: request.method,
    PATH_INFO: path,
    QUERY_STRING: query,
    CONTENT_TYPE: headers['content-type'],
    CONTENT_LENGTH: headers['content-length'],
    HTTP_CONTENT_ENCODING: headers['content-encoding'],
    GIT_PROTOCOL: String(headers['git-protocol'] ?? ''),
  }
}

function split(line: string): [string, string] {
  const colon = line.indexOf(': ')
  return [line.slice(0, colon), line.slice(colon + 2)]
}
