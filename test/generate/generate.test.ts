import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { sinkKinds } from '../../src/audit/registry.ts'
import { callerKinds } from '../../src/callers/registry.ts'
import { problems } from '../../src/core/problems.ts'
import { compileRule } from '../../src/core/rule.ts'
import { sourceKinds } from '../../src/credentials/registry.ts'
import { z } from '../../src/forms/zod.ts'
import { generatedFiles } from '../../src/generate/generated.ts'
import { settingsJsonSchema } from '../../src/generate/json-schema.ts'
import type { SchemaNode } from '../../src/generate/schema-node.ts'
import { injectionKinds } from '../../src/injections/registry.ts'
import { doorKinds } from '../../src/listeners/registry.ts'
import { secretKinds } from '../../src/secrets/registry.ts'
import { faultsOf } from '../support/settings-file.ts'

const root = join(import.meta.dirname, '../..')
const read = (path: string) => readFile(join(root, path), 'utf8')

function made(path: string): string {
  const file = generatedFiles().find((one) => one.path === path)
  if (!file) throw new Error(`${path} is not generated`)
  return file.text
}

/** Cells of the rows of every table. */
function rowsOf(markdown: string): string[][] {
  const lines = markdown.split('\n').filter((line) => line.startsWith('| ') && !line.startsWith('| ---'))
  return lines.map((line) => line.slice(2, -2).split(/(?<!\\) \| /))
}

describe('what is committed is what the source makes', () => {
  test.each(['config/schema.json', 'config/README.md', 'config/problems.md'])('%s', async (path) => {
    expect(await read(path), 'run "npm run generate"').toBe(made(path))
  })

  test('and --check agrees', async () => {
    const script = join(root, 'src/generate/generate.ts')
    await expect(promisify(execFile)(process.execPath, [script, '--check'])).resolves.toMatchObject({ stderr: '' })
  })
})

describe('config/schema.json', () => {
  const schema = settingsJsonSchema()
  // zod reads JSON Schema as well as it writes it; `format` and what only code can check are beyond it.
  const validator = z.fromJSONSchema(JSON.parse(made('config/schema.json')))
  const accepts = (settings: unknown) => validator.safeParse(settings).success

  const door = { kind: 'forward', listen: '127.0.0.1:0' }
  const crm = { hosts: ['a.test'], credential: { kind: 'static', secret: { file: 'a' } } }
  const right = { listeners: [door], connections: { crm } }

  test('says what it is', () => {
    expect(schema).toMatchObject({
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      $id: 'urn:sallyport:settings',
      title: 'Sallyport settings',
    })
  })

  test.each(['config/example.yaml', 'config/playground.yaml'])('accepts %s', async (path) => {
    expect(validator.safeParse(parse(await read(path))).error).toBeUndefined()
  })

  test('accepts what leaves out all that has a default', () => {
    expect(accepts(right)).toBe(true)
    expect(accepts({ listeners: [door] })).toBe(true)
  })

  test.each<[string, unknown]>([
    ['no listener', { ...right, listeners: [] }],
    ['an unknown key', { ...right, foo: 1 }],
    ['an unknown key of a listener', { listeners: [{ ...door, foo: 1 }] }],
    ['an unknown kind', { listeners: [{ ...door, kind: 'foo' }] }],
    ['an unknown key of a connection', { ...right, connections: { crm: { ...crm, foo: 1 } } }],
    [
      'an unknown key of a credential',
      { ...right, connections: { crm: { ...crm, credential: { kind: 'none', foo: 1 } } } },
    ],
    ['an unknown key of limits', { ...right, connections: { crm: { ...crm, limits: { foo: 1 } } } }],
    ['an inline secret', { ...right, connections: { crm: { ...crm, credential: { kind: 'static', secret: 'x' } } } }],
    ['a name with a blank', { ...right, connections: { 'c m': crm } }],
    ['a number out of range', { ...right, drainTimeoutMs: 0 }],
    ['a text for a number', { ...right, drainTimeoutMs: '5' }],
    ['a grant of nothing', { ...right, grants: [{ caller: 'a' }] }],
  ])('does not accept %s', (_, settings) => {
    expect(accepts(settings)).toBe(false)
  })

  test('leaves no mapping open to unknown keys', () => {
    const open = nodesOf(schema).filter((node) => node.type === 'object' && node.additionalProperties === undefined)
    expect(open).toEqual([])
  })
})

/** A schema and all that is within it. */
function nodesOf(node: SchemaNode): SchemaNode[] {
  const { properties = {}, $defs = {}, items, additionalProperties, oneOf = [], anyOf = [] } = node
  const parts = [...Object.values(properties), ...Object.values($defs), ...oneOf, ...anyOf]
  if (items) parts.push(items)
  if (additionalProperties) parts.push(additionalProperties)
  return [node, ...parts.flatMap(nodesOf)]
}

describe('config/README.md', () => {
  const markdown = made('config/README.md')

  test.each([doorKinds, callerKinds, sourceKinds, injectionKinds, sinkKinds, secretKinds].flatMap(Object.keys))(
    'has a heading for %s',
    (kind) => {
      expect(markdown).toContain(`\n### \`${kind}\`\n`)
    },
  )

  test('has a row for every setting of the top level', () => {
    const names = rowsOf(markdown).map(([name]) => name)
    for (const name of Object.keys(settingsJsonSchema().properties ?? {})) expect(names).toContain(`\`${name}\``)
  })

  test('has tables of four columns, whatever their cells hold', () => {
    const tables = markdown.split('\n').filter((line) => line === '| setting | type | default | what it does |')
    expect(tables.length).toBeGreaterThan(10)
    const settings = rowsOf(markdown).filter(([name = '']) => /^`[A-Za-z.]+`$/.test(name))
    expect(settings.filter((cells) => cells.length !== 4)).toEqual([])
  })

  test('links to headings that there are', () => {
    const headings = [...markdown.matchAll(/^#+ (.+)$/gm)].map(([, title = '']) =>
      title.toLowerCase().replaceAll(' ', '-'),
    )
    const links = [...markdown.matchAll(/\]\(#([^)]+)\)/g)].map(([, target = '']) => target)
    expect(links.length).toBeGreaterThan(5)
    expect(links.filter((target) => !headings.includes(target))).toEqual([])
  })

  test('shows an error as it is', async () => {
    const [, shown] = /```text\n\S+ (.+)\n```/.exec(markdown) ?? []
    const text =
      'listeners: [ { kind: forward, listen: 127.0.0.1:0 } ]\nconnections: { crm: { hosts: [ API.Example.com. ], credential: { kind: none } } }\n'
    expect(await faultsOf(text)).toEqual([`s.yaml:2:32 ${shown}`])
  })

  test('tells the truth about path patterns', () => {
    const rows = rowsOf(markdown).filter(([pattern = '']) => pattern.startsWith('`/'))
    expect(rows.length).toBeGreaterThan(3)
    for (const [pattern = '', yes = '', no = ''] of rows) {
      const rule = compileRule({ paths: [pattern.slice(1, -1)] })
      const paths = (cell: string) => [...cell.matchAll(/`([^`]+)`/g)].map(([, path = '']) => path)
      expect(paths(yes).filter((path) => !rule.matches('GET', path))).toEqual([])
      expect(paths(no).filter((path) => rule.matches('GET', path))).toEqual([])
    }
  })
})

describe('config/problems.md', () => {
  const rows = rowsOf(made('config/problems.md'))

  test.each(Object.entries(problems))('lists %s', (name, { status, title }) => {
    const row = rows.find(([code]) => code === `\`${name}\``)
    expect(row?.slice(1, 3)).toEqual([String(status), title])
    expect(row).toHaveLength(5)
  })

  test('lists nothing else', () => {
    expect(rows).toHaveLength(Object.keys(problems).length + 1)
  })
})
