import { pathOf } from '../support/debian.ts'
import { type Client, runProgram, runSteps, withUserinfo } from './client.ts'

/** pip: installs a wheel, and imports it. */
export const pip: Client = {
  name: 'pip',
  needs: ['python3', 'pip'],
  service: 'pip',
  ways: ['proxy', 'reverse'],
  asks: ['GET /simple/tiny/', 'GET /files/tiny-1.0-py3-none-any.whl'],
  run(errand) {
    const { url, cwd } = errand
    // pip leaves out an index over http:// unless it is told to trust it; over https:// that would keep it from verifying.
    const trusted = url.startsWith('http:') ? ['--trusted-host', new URL(url).hostname] : []
    const index = ['--index-url', `${withUserinfo(errand)}/simple/`, ...trusted]
    const options = ['--quiet', '--disable-pip-version-check', '--no-cache-dir', '--retries', '0', '--target', cwd]
    const python = (...args: readonly string[]) => runProgram(pathOf('python3'), args, errand)
    return runSteps([
      () => python('-m', 'pip', 'install', ...options, ...index, 'tiny'),
      () => python('-c', 'import tiny; print(tiny.WORDS)'),
    ])
  },
}
