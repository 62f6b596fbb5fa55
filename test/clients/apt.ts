import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathOf } from '../support/debian.ts'
import { type Client, runProgram, runSteps, withUserinfo } from './client.ts'

/** apt: reads lists and downloads a package, with settings of its own: the machine's are not touched. */
export const apt: Client = {
  name: 'apt',
  needs: ['apt-get', 'dpkg-deb'],
  service: 'apt',
  ways: ['proxy', 'reverse'],
  asks: ['GET /tiny/Release', 'GET /tiny/Packages', 'GET /tiny/tiny.deb'],
  run(errand) {
    const { cwd } = errand
    const sources = join(cwd, 'sources.list')
    for (const folder of ['lists/partial', 'cache/archives/partial']) mkdirSync(join(cwd, folder), { recursive: true })
    writeFileSync(sources, `deb [trusted=yes] ${withUserinfo(errand)}/ tiny/\n`)
    const options = ['--quiet=2', ...settingsIn(cwd, sources)]
    const apt = (...args: readonly string[]) => runProgram(pathOf('apt-get'), [...options, ...args], errand)
    return runSteps([
      () => apt('update'),
      () => apt('download', 'tiny'),
      () => runProgram(pathOf('dpkg-deb'), ['--extract', 'tiny_1.0_all.deb', 'tiny'], errand),
      async () => ({ code: 0, stdout: readFileSync(join(cwd, 'tiny', 'words'), 'utf8'), stderr: '' }),
    ])
  },
}

function settingsIn(directory: string, sources: string): readonly string[] {
  return Object.entries({
    'Dir::Etc': directory,
    'Dir::Etc::SourceList': sources,
    'Dir::Etc::SourceParts': '/dev/null',
    'Dir::State::Lists': join(directory, 'lists'),
    'Dir::Cache': join(directory, 'cache'),
    // The user that apt would become may not enter this directory.
    'APT::Sandbox::User': 'root',
    // Else a list that could not be read is a warning.
    'APT::Update::Error-Mode': 'any',
    // What the machine says here would win over the environment.
    'Acquire::http::Proxy': '',
    'Acquire::https::Proxy': '',
    'Acquire::Languages': 'none',
    'Acquire::Retries': '0',
  }).flatMap(([name, value]) => ['-o', `${name}=${value}`])
}
