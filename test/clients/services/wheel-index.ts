import { execFileSync } from 'node:child_process'
import { hash } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathOf } from '../../support/debian.ts'
import { filesService, type Served, type Service } from './service.ts'

const WHEEL = 'tiny-1.0-py3-none-any.whl'

/** A Python package index with `tiny`, a module that holds these words. @see PEP 503 */
export function wheelIndex(directory: string, words: string): Service {
  return filesService(async () => {
    const wheel = makeWheel(directory, words)
    const link = `<a href="../../files/${WHEEL}#sha256=${hash('sha256', wheel)}">${WHEEL}</a>`
    return new Map<string, Served>([
      ['/simple/tiny/', { type: 'text/html', body: `<!DOCTYPE html><html><body>${link}</body></html>` }],
      [`/files/${WHEEL}`, { type: 'application/octet-stream', body: wheel }],
    ])
  })
}

/** The smallest that pip installs. @see https://packaging.python.org/en/latest/specifications/binary-distribution-format/ */
function makeWheel(directory: string, words: string): Buffer {
  const info = 'tiny-1.0.dist-info'
  mkdirSync(join(directory, info))
  writeFileSync(join(directory, 'tiny.py'), `WORDS = ${JSON.stringify(words)}\n`)
  writeFileSync(join(directory, info, 'METADATA'), 'Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n')
  writeFileSync(join(directory, info, 'WHEEL'), 'Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n')
  writeFileSync(join(directory, info, 'RECORD'), `tiny.py,,\n${info}/METADATA,,\n${info}/WHEEL,,\n${info}/RECORD,,\n`)
  execFileSync(pathOf('python3'), ['-m', 'zipfile', '-c', WHEEL, 'tiny.py', `${info}/`], { cwd: directory })
  return readFileSync(join(directory, WHEEL))
}
