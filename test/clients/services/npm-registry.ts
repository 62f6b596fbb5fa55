import { execFileSync } from 'node:child_process'
import { hash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { filesService, type Served, type Service } from './service.ts'

const MANIFEST = { name: 'tiny', version: '1.0.0', main: 'tiny.js' }

/** An npm registry with `tiny`, a module that exports these words. */
export function npmRegistry(directory: string, words: string): Service {
  return filesService(async (url) => {
    const tarball = makeTarball(directory, words)
    const dist = {
      tarball: `${url}/tiny/-/tiny-1.0.0.tgz`,
      integrity: `sha512-${hash('sha512', tarball, 'base64')}`,
    }
    const packument = {
      name: 'tiny',
      'dist-tags': { latest: '1.0.0' },
      versions: { '1.0.0': { ...MANIFEST, dist } },
    }
    return new Map<string, Served>([
      ['/tiny', { type: 'application/json', body: JSON.stringify(packument) }],
      ['/tiny/-/tiny-1.0.0.tgz', { type: 'application/octet-stream', body: tarball }],
    ])
  })
}

/** npm wants everything below `package/`. */
function makeTarball(directory: string, words: string): Buffer {
  const folder = join(directory, 'package')
  mkdirSync(folder)
  writeFileSync(join(folder, 'package.json'), JSON.stringify(MANIFEST))
  writeFileSync(join(folder, 'tiny.js'), `module.exports = ${JSON.stringify(words)}\n`)
  return execFileSync('/usr/bin/tar', ['-czf', '-', 'package'], { cwd: directory })
}
