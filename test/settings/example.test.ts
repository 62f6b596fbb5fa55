import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { sinkKinds } from '../../src/audit/registry.ts'
import { callerKinds } from '../../src/callers/registry.ts'
import { sourceKinds } from '../../src/credentials/registry.ts'
import { FileReference } from '../../src/forms/network.ts'
import { settingsJsonSchema } from '../../src/generate/json-schema.ts'
import { injectionKinds } from '../../src/injections/registry.ts'
import { doorKinds } from '../../src/listeners/registry.ts'
import { makeAuthority } from '../../src/playground/certificates.ts'
import { readPlan } from '../../src/playground/plan.ts'
import { SecretReference } from '../../src/secrets/reference.ts'
import { secretKinds } from '../../src/secrets/registry.ts'
import { loadSettings } from '../../src/settings/load.ts'

const ROOT = new URL('../..', import.meta.url).pathname
const EXAMPLE = join(ROOT, 'config/example.yaml')
const TEXT = readFileSync(EXAMPLE, 'utf8')
/** What one page would be too long for has an example of its own, which test/settings/examples.test.ts loads. */
const OTHERS = globSync(join(ROOT, 'config/examples/*.yaml'))
const TEXTS = [TEXT, ...OTHERS.map((file) => readFileSync(file, 'utf8'))].join('\n')
const UNSAFE = /^(\s*)# (unsafe\w+: true)$/gm

let directory: string

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'sallyport-example-'))
})

afterAll(() => rmSync(directory, { recursive: true, force: true }))

test.each(['example.yaml', 'playground.yaml'])('%s is right, and nothing in it is doubtful', async (name) => {
  expect((await loadSettings(join(ROOT, 'config', name))).warnings).toEqual([])
})

test.each(['example.yaml', 'playground.yaml'])('%s tells editors where its schema is', (name) => {
  const [first] = readFileSync(join(ROOT, 'config', name), 'utf8').split('\n')
  expect(first).toBe('# yaml-language-server: $schema=schema.json')
  expect(() => readFileSync(join(ROOT, 'config/schema.json'))).not.toThrow()
})

test('the examples show every kind of every registry', async () => {
  const { settings } = await loadSettings(EXAMPLE)
  const others = await Promise.all(OTHERS.map((file) => loadSettings(file)))
  const connections = [settings, ...others.map((other) => other.settings)].flatMap((one) =>
    Object.values(one.connections),
  )
  const kinds = (of: readonly ({ readonly kind: string } | undefined)[]) => [...new Set(of.map((one) => one?.kind))]
  const shown = {
    doors: kinds(settings.listeners),
    callers: kinds(Object.values(settings.callers)),
    sources: kinds(connections.map(({ credential }) => credential)),
    injections: kinds(connections.flatMap(({ inject }) => (inject ? [inject] : []))),
    sinks: kinds(settings.audit.sinks),
    secrets: [
      ...new Set(
        secretsIn([settings, ...others.map((other) => other.settings)]).flatMap((reference) =>
          Object.keys(reference.settings),
        ),
      ),
    ],
  }
  const known = {
    doors: Object.keys(doorKinds),
    callers: Object.keys(callerKinds),
    sources: Object.keys(sourceKinds),
    injections: Object.keys(injectionKinds),
    sinks: Object.keys(sinkKinds),
    secrets: Object.keys(secretKinds),
  }
  const sorted = (rows: typeof known) => Object.entries(rows).map(([name, row]) => [name, [...row].sort()])
  expect(sorted(shown as typeof known /* an undefined kind is in no registry */)).toEqual(sorted(known))
})

test('the examples name every setting there is', () => {
  const missing = [...new Set(keysIn(settingsJsonSchema()))].filter((key) => !new RegExp(`\\b${key}: ?`).test(TEXTS))
  expect(missing).toEqual([])
})

test('every unsafe choice is there to be read, and none is made', async () => {
  const unsafe = [...new Set(keysIn(settingsJsonSchema()))].filter((key) => key.startsWith('unsafe'))
  expect(
    TEXT.match(UNSAFE)
      ?.map((line) => line.replace(/\W+(\w+).*/, '$1'))
      .sort(),
  ).toEqual(unsafe.sort())
  expect(JSON.stringify((await loadSettings(EXAMPLE)).settings)).not.toMatch(/"unsafe\w+":true/)
})

test('what is commented out as unsafe is a setting at the place where it stands', async () => {
  const file = join(directory, 'unsafe.yaml')
  writeFileSync(file, TEXT.replace(UNSAFE, '$1$2'))
  const { settings } = await loadSettings(file)
  expect(JSON.stringify(settings).match(/"unsafe\w+":true/g)).toHaveLength(TEXT.match(UNSAFE)?.length ?? 0)
})

test('the example passes `check` once the files it names are there', async () => {
  const { settings } = await loadSettings(EXAMPLE)
  const { certPem, issue } = await makeAuthority('example')
  const env: NodeJS.ProcessEnv = { ...process.env }
  for (const { settings: where } of secretsIn(settings)) {
    if ('store' in where) continue
    if ('env' in where) env[String(where['env'])] = randomBytes(8).toString('hex')
    else put(String(where['file']), randomBytes(8).toString('hex'))
  }
  for (const { file } of all(settings, FileReference)) put(file, certPem)
  const door = await issue(['door.example.com'])
  put('tls/door.pem', door.cert)
  put('secrets/door-key.pem', door.key)
  const file = put('example.yaml', TEXT)
  const cli = [join(ROOT, 'src/cli.ts'), 'check', '--config', file]
  const { stdout, stderr } = await promisify(execFile)(process.execPath, cli, { env })
  expect(stdout).toMatch(/is right: (?:\d+ [a-z]+(?:, )?){4}\nsettings digest: [0-9a-f]{64}\n$/)
  expect(stderr).toMatch(
    /^warning: \S+example\.yaml:\d+:\d+ connections\.maps\.credential\.secret: is in the store, which is not opened to look\n$/,
  )
})

test('the playground finds in its settings all that the other two processes need', async () => {
  expect(await readPlan(join(ROOT, 'config/playground.yaml'))).toMatchObject({
    issuer: 'https://login.playground.test:15002',
    apiHost: 'api.playground.test',
    apiPort: 15003,
    caller: 'app',
  })
})

test('the playground says what is missing from settings that somebody changed', async () => {
  const whole = readFileSync(join(ROOT, 'config/playground.yaml'), 'utf8')
  const file = join(directory, 'playground.yaml')
  writeFileSync(file, whole.replace(/^ +port: 15003\n/m, ''))
  await expect(readPlan(file)).rejects.toThrow(/playground\.yaml says nothing of a port any more/)
})

function put(name: string, text: string): string {
  const file = join(directory, name)
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  writeFileSync(file, text, { mode: 0o600 })
  return file
}

function secretsIn(value: unknown): SecretReference[] {
  return all(value, SecretReference)
}

function all<T>(value: unknown, type: abstract new (...args: never[]) => T): T[] {
  if (value instanceof type) return [value]
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap((item) => all(item, type)) : []
}

/** Names of properties, wherever in a schema they are. */
function keysIn(schema: unknown): string[] {
  if (typeof schema !== 'object' || schema === null) return []
  const own =
    'properties' in schema && typeof schema.properties === 'object' ? Object.keys(schema.properties ?? {}) : []
  return [...own, ...Object.values(schema).flatMap(keysIn)]
}
