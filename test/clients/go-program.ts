import { hash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { pathOf } from '../support/debian.ts'
import { runProgram } from './client.ts'

/** Programs, and what Go has compiled for them: the standard library takes much longer than they do. */
const CACHE = fileURLToPath(new URL('../../node_modules/.cache/sallyport-go', import.meta.url))

/** ms: minutes, where nothing is compiled yet. */
export const BUILD_MS = 180_000

/** Builds a Go program of one file, where it has not been built from this source before. Answers with its path. */
export async function goProgram(source: string): Promise<string> {
  const program = join(CACHE, `${basename(source, '.go')}-${hash('sha256', readFileSync(source))}`)
  if (existsSync(program)) return program
  // Two test files may build it at the same time.
  const passing = `${program}.${process.pid}`
  await build(source, passing)
  renameSync(passing, program)
  return program
}

async function build(source: string, program: string): Promise<void> {
  mkdirSync(CACHE, { recursive: true })
  // Without cgo it needs no C compiler, and without modules nothing from anywhere.
  const env = { PATH: '/usr/bin:/bin', HOME: CACHE, GOCACHE: CACHE, GO111MODULE: 'off', CGO_ENABLED: '0' }
  const surroundings = { env, cwd: CACHE, deadlineMs: BUILD_MS }
  const { code, stderr } = await runProgram(pathOf('go'), ['build', '-o', program, source], surroundings)
  if (code !== 0) throw new Error(`go build ended with ${code}: ${stderr}`)
}
