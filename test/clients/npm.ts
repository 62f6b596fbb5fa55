import { realpathSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Client, runProgram, runSteps } from './client.ts'

/** npm: installs a package, which is then required. */
export const npm: Client = {
  name: 'npm',
  needs: [],
  service: 'npm',
  ways: ['proxy', 'reverse'],
  asks: ['GET /tiny', 'GET /tiny/-/tiny-1.0.0.tgz'],
  run(errand) {
    const { url, cwd, env } = errand
    const key = env['API_KEY']
    writeFileSync(join(cwd, 'package.json'), '{}')
    // npm shows a token below the address that it is for, and nowhere else.
    if (key !== undefined) writeFileSync(join(cwd, '.npmrc'), `${url.replace(/^http:/, '')}/:_authToken=${key}\n`)
    const options = ['--no-audit', '--no-fund', '--no-update-notifier', '--fetch-retries=0', '--ignore-scripts']
    const node = (...args: readonly string[]) => runProgram(process.execPath, args, errand)
    return runSteps([
      () => node(npmProgram(), 'install', ...options, `--registry=${url}/`, 'tiny'),
      () => node('-p', "require('tiny')"),
    ])
  },
}

/**
 * The npm that runs these tests, else the first on PATH; it gets the Node under test.
 * @throws Error when there is none
 */
function npmProgram(): string {
  const links = (process.env['PATH'] ?? '').split(':').map((directory) => join(directory, 'npm'))
  const files = [process.env['npm_execpath'] ?? '', ...links].map(realPathOf)
  const found = files.find((file) => file?.endsWith('/npm-cli.js'))
  if (found === undefined) throw new Error('there is no npm: put the one that comes with Node on PATH')
  return found
}

function realPathOf(link: string): string | undefined {
  try {
    return realpathSync(link)
  } catch {
    return undefined
  }
}
