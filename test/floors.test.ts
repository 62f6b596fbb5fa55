import { globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { expect, test } from 'vitest'

/** Rooms by floor: a file imports its own room and lower floors, never up, never sideways. */
const FLOORS: readonly (readonly string[])[] = [
  ['core'],
  ['wire', 'telemetry', 'forms'],
  ['secrets', 'ca'],
  ['oauth', 'otlp'],
  ['callers', 'credentials', 'injections', 'relay', 'audit', 'store', 'tracing'],
  ['gate', 'review'],
  ['listeners', 'admin'],
  ['settings'],
  ['top', 'cli', 'egress', 'generate', 'playground'],
]

/** The one room of each npm package, so that it can be replaced in one room. */
const HOMES: Readonly<Record<string, readonly string[]>> = {
  zod: ['forms'],
  yaml: ['settings'],
  pino: ['telemetry'],
  'prom-client': ['telemetry', 'admin'],
  undici: ['relay', 'credentials', 'wire', 'callers', 'otlp'],
  'http-proxy': ['relay'],
  oauth4webapi: ['oauth'],
  hono: ['admin'],
  '@hono/node-server': ['admin'],
  commander: ['cli'],
  jose: ['callers', 'oauth', 'credentials', 'playground'],
  kysely: ['store'],
  pg: ['store'],
  '@bomb.sh/tab': ['cli'],
  'oidc-provider': ['playground'],
  '@peculiar/x509': ['ca'],
  'reflect-metadata': ['ca'],
}

interface Import {
  readonly file: string
  readonly from: string
  readonly isType: boolean
}

const files = globSync('src/**/*.ts').filter((file) => !file.endsWith('.d.ts'))
const imports = files.flatMap(importsOf)

function importsOf(file: string): Import[] {
  const text = readFileSync(file, 'utf8')
  const found = text.matchAll(
    /^(?:import|export)\s+(type\s)?[^'"]*?from\s+'([^']+)'|^import\s+'([^']+)'|import\('([^']+)'\)/gm,
  )
  return [...found].map(([, type, named, bare, lazy]) => ({
    file,
    from: named ?? bare ?? lazy ?? '',
    isType: type !== undefined,
  }))
}

function roomOf(file: string): string {
  const [, room = '', ...rest] = file.split('/')
  return rest.length === 0 ? 'top' : room
}

function floorOf(room: string): number {
  return FLOORS.findIndex((floor) => floor.includes(room))
}

test('every room has a floor', () => {
  expect(files.filter((file) => floorOf(roomOf(file)) === -1)).toEqual([])
})

test('imports go down, never up, never sideways', () => {
  const wrong = imports
    .filter(({ from }) => from.startsWith('.'))
    .map(({ file, from }) => ({ file, to: normalize(join(dirname(file), from)) }))
    .filter(({ file, to }) => roomOf(file) !== roomOf(to) && floorOf(roomOf(to)) >= floorOf(roomOf(file)))
    // The top floor is where everything is joined.
    .filter(({ file }) => floorOf(roomOf(file)) < FLOORS.length - 1)
  expect(wrong).toEqual([])
})

test('no files import each other in a circle, for their types neither', () => {
  const needs = Map.groupBy(
    imports.filter(({ from }) => from.startsWith('.')),
    ({ file }) => file,
  )
  const ended = new Set<string>()
  const circleFrom = (file: string, way: readonly string[]): readonly string[] => {
    if (way.includes(file)) return [...way.slice(way.indexOf(file)), file]
    if (ended.has(file)) return []
    for (const { from } of needs.get(file) ?? []) {
      const circle = circleFrom(normalize(join(dirname(file), from)), [...way, file])
      if (circle.length > 0) return circle
    }
    ended.add(file)
    return []
  }
  expect(files.map((file) => circleFrom(file, [])).filter((circle) => circle.length > 0)).toEqual([])
})

test('each npm package is imported in its own rooms alone', () => {
  const packages = imports.filter(({ from }) => !from.startsWith('.') && !from.startsWith('node:'))
  const wrong = packages.filter(({ file, from }) => {
    const name = from.split('/', from.startsWith('@') ? 2 : 1).join('/')
    return !(HOMES[name] ?? []).includes(roomOf(file))
  })
  expect(wrong).toEqual([])
})

test('what costs megabytes to import as a whole is imported by one file, which says why', () => {
  const files = { 'node:http': 'src/wire/node-http.ts', undici: 'src/wire/undici.ts' }
  const wrong = imports
    // The doctor's programs are texts, which other processes run.
    .filter(({ isType, file }) => !isType && file !== 'src/cli/doctor/programs.ts')
    .filter(({ file, from }) =>
      Object.entries(files).some(([name, home]) => from.split('/')[0] === name && file !== home),
    )
  expect(wrong).toEqual([])
})

test('core has no clock and no I/O', () => {
  const pure = new Set(['node:crypto', 'node:net', 'node:url'])
  expect(
    imports.filter(({ file, from }) => roomOf(file) === 'core' && from.startsWith('node:') && !pure.has(from)),
  ).toEqual([])
  const clocks = files.filter(
    (file) => roomOf(file) === 'core' && /Date\.now\(|performance\.now\(|new Date\(\)/.test(readFileSync(file, 'utf8')),
  )
  expect(clocks).toEqual([])
})

test('a kind is imported by the registry of its room alone', () => {
  const registries = files.filter((file) => file.endsWith('/registry.ts'))
  const kinds = registries.flatMap((registry) =>
    [...readFileSync(registry, 'utf8').matchAll(/^import \{ [a-z]\w+ \} from '\.\/([^']+)'/gm)].map(([, kind]) =>
      join(dirname(registry), kind ?? ''),
    ),
  )
  expect(kinds.length).toBeGreaterThan(10)
  const wrong = imports.filter(
    ({ file, from, isType }) =>
      !isType &&
      from.startsWith('.') &&
      kinds.includes(normalize(join(dirname(file), from))) &&
      !file.endsWith('/registry.ts'),
  )
  expect(wrong).toEqual([])
})

test('a secret is revealed where it is spent, nowhere else', () => {
  // In callers a token is taken apart, and shown to whoever vouches for it.
  const rooms = new Set(['injections', 'credentials', 'oauth', 'store', 'audit', 'callers', 'otlp'])
  const revealing = files.filter((file) => readFileSync(file, 'utf8').includes('.reveal()') && !rooms.has(roomOf(file)))
  expect(revealing).toEqual([])
})

test('no file of ours is longer than 300 lines, no test longer than 400', () => {
  const lines = (file: string) => readFileSync(file, 'utf8').split('\n').length - 1
  expect(files.filter((file) => lines(file) > 300)).toEqual([])
  expect(globSync('test/**/*.ts').filter((file) => lines(file) > 400)).toEqual([])
})
