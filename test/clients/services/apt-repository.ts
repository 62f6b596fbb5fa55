import { execFileSync } from 'node:child_process'
import { hash } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathOf } from '../../support/debian.ts'
import { filesService, type Served, type Service } from './service.ts'

const CONTROL = `Package: tiny
Version: 1.0
Architecture: all
Maintainer: server <server@apt.client.test>
Description: as small as it gets
`

/** A flat repository in `/tiny/` with a package of that name, whose one file holds these words. Not signed: its clients say `trusted=yes`. */
export function aptRepository(directory: string, words: string): Service {
  return filesService(async () => {
    const deb = makePackage(directory, words)
    const packages = `${CONTROL}Filename: tiny/tiny.deb\nSize: ${deb.length}\nSHA256: ${hash('sha256', deb)}\n`
    const release = `Date: ${new Date().toUTCString()}\nSHA256:\n ${hash('sha256', packages)} ${packages.length} Packages\n`
    return new Map<string, Served>([
      ['/tiny/Release', { type: 'text/plain', body: release }],
      ['/tiny/Packages', { type: 'text/plain', body: packages }],
      ['/tiny/tiny.deb', { type: 'application/octet-stream', body: deb }],
    ])
  })
}

function makePackage(directory: string, words: string): Buffer {
  const root = join(directory, 'root')
  mkdirSync(join(root, 'DEBIAN'), { recursive: true })
  writeFileSync(join(root, 'DEBIAN', 'control'), CONTROL)
  writeFileSync(join(root, 'words'), words)
  const file = join(directory, 'tiny.deb')
  execFileSync(pathOf('dpkg-deb'), ['--build', '--root-owner-group', root, file])
  return readFileSync(file)
}
