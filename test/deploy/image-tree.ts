import { execFileSync } from 'node:child_process'
import { cpSync, globSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import { bundle } from '../../deploy/build.ts'

export const ROOT = new URL('../..', import.meta.url).pathname

interface Stage {
  readonly name: string
  /** One instruction each, continued lines joined. */
  readonly lines: readonly string[]
}

/** The stages of the Dockerfile; the last one, which is the image, is called `image`. */
export function stages(): readonly Stage[] {
  const text = readFileSync(join(ROOT, 'Dockerfile'), 'utf8').replace(/^#.*\n/gm, '')
  const [, ...parts] = text.replaceAll(/\\\n\s*/g, '').split(/^FROM /m)
  return parts.map((part) => {
    const [first = '', ...lines] = part.split('\n').filter((line) => line !== '')
    return { name: / AS (\w+)$/.exec(first)?.[1] ?? 'image', lines }
  })
}

/** What a stage sets for its processes, and how the image starts. */
export function processOf(name: string): { readonly env: Record<string, string>; readonly entrypoint: string[] } {
  const lines = stages().find((stage) => stage.name === name)?.lines ?? []
  const env = lines.flatMap((line) => (line.startsWith('ENV ') ? [...line.slice(4).matchAll(/(\w+)=(\S+)/g)] : []))
  const entrypoint = lines.find((line) => line.startsWith('ENTRYPOINT '))?.slice('ENTRYPOINT '.length) ?? '[]'
  return {
    env: Object.fromEntries(env.map(([, variable = '', value = '']) => [variable, value])),
    entrypoint: JSON.parse(entrypoint),
  }
}

/**
 * Does what the Dockerfile says, as far as that goes without Docker: the image's own files are in `root`/image then, what the
 * build stage has in `root`/build. The compile cache is made where it will be read, which is why a stage is moved away
 * before the next one is laid out.
 */
export async function assemble(root: string): Promise<void> {
  await bundle(join(root, 'build/src/dist'))
  cpSync(join(ROOT, 'deploy'), join(root, 'build/src/deploy'), { recursive: true })
  mkdirSync(join(root, 'build/stage/compile-cache'), { recursive: true })
  for (const { name, lines } of stages().slice(1)) {
    for (const line of lines) {
      if (line.startsWith('COPY ')) copy(line, root)
      if (line.startsWith('RUN ')) run(JSON.parse(line.slice(4)), root, name)
    }
    if (name !== 'image') renameSync(join(root, 'image'), join(root, name))
  }
}

function copy(line: string, root: string): void {
  const [, from = '', rest = ''] = /^COPY --from=(\w+) (?:--chown=\S+ )?(.+)$/.exec(line) ?? []
  const paths = rest.split(' ')
  const to = join(root, 'image', paths.pop() ?? '')
  mkdirSync(to, { recursive: true })
  for (const path of paths) {
    const found = globSync(join(root, from, path))
    if (found.length === 0) throw new Error(`${line}: there is no ${path}`)
    // A folder's content goes into the target, a file keeps its name.
    for (const file of found) cpSync(file, /\.\w+$/.test(file) ? join(to, basename(file)) : to, { recursive: true })
  }
}

function run([node = '', ...args]: readonly string[], root: string, stage: string): void {
  if (node !== '/nodejs/bin/node') throw new Error(`there is no ${node} in the image`)
  execFileSync(
    process.execPath,
    args.map((word) => inImage(word, root)),
    { env: environment(root, stage), stdio: 'pipe' },
  )
}

/** Paths of the image, as they are here. */
export function inImage(text: string, root: string): string {
  return text.replaceAll('/app', join(root, 'image/app'))
}

/** The environment of a process in the image. */
export function environment(root: string, stage = 'image'): NodeJS.ProcessEnv {
  const { env } = processOf(stage)
  return Object.fromEntries(
    Object.entries({ PATH: '/nowhere', ...env }).map(([key, text]) => [key, inImage(text, root)]),
  )
}

/** A tree made by `assemble`, gone. */
export function removeTree(root: string): void {
  rmSync(root, { recursive: true, force: true })
}
