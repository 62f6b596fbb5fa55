import { join } from 'node:path'
import { pathOf } from '../support/debian.ts'
import { type Client, runProgram, runSteps } from './client.ts'

/** git: clones, and pushes a commit. */
export const git: Client = {
  name: 'git',
  needs: ['git'],
  service: 'git',
  ways: ['proxy', 'reverse'],
  asks: ['POST /tiny.git/git-upload-pack', 'POST /tiny.git/git-receive-pack'],
  run(errand) {
    const { url, cwd, env } = errand
    const key = env['API_KEY']
    // The key stands where a password would; git shows it once it is asked for Basic.
    const base = key === undefined ? url : url.replace('://', `://git:${key}@`)
    const git = (...args: readonly string[]) => runProgram(pathOf('git'), args, errand)
    const work = join(cwd, 'tiny')
    const inside = ['-C', work, '-c', 'user.name=client', '-c', 'user.email=client@client.test']
    return runSteps([
      () => git('clone', '--quiet', `${base}/tiny.git`, work),
      () => git(...inside, 'log', '--format=%s'),
      () => git(...inside, 'commit', '--quiet', '--allow-empty', '--message=pushed'),
      () => git(...inside, 'push', '--quiet', 'origin', 'main'),
    ])
  },
}
