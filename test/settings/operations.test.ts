import { execFileSync } from 'node:child_process'
import { chmod, truncate, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decide } from '../../src/core/decide.ts'
import { compileRule } from '../../src/core/rule.ts'
import { readDescription } from '../../src/settings/api-description.ts'
import { loadSettings, loadSettingsAgain } from '../../src/settings/load.ts'
import { compilePolicy } from '../../src/settings/policy.ts'
import { DOOR, refusalOf, settingsFile } from '../support/settings-file.ts'

const CRM = `openapi: 3.1.0
info: { title: CRM, version: "1" }
servers:
  - { url: "https://{region}.crm.test/{version}/", variables: { region: { default: eu }, version: { default: v1, enum: [v1, v2] } } }
  - { url: https://sandbox.elsewhere.test/box }
paths:
  /contacts:
    get: { operationId: listContacts }
    post: { operationId: addContact }
    head: { operationId: countContacts }
  /contacts/{id}:
    get: { operationId: getContact }
  /contacts/{id}/files/{name}.{type}: { $ref: "#/components/pathItems/file" }
  /übersicht von {a}{b}:
    get: { operationId: overview }
  /blobs/{path}:
    get: { operationId: getBlob, parameters: [ { $ref: "#/components/parameters/blob" } ] }
  /{+rest}:
    get: { operationId: anything }
  /legacy:
    servers: [ { url: /old } ]
    get: { operationId: legacy }
  /a:
    get: { operationId: twice }
  /b:
    get: { operationId: twice }
components:
  pathItems:
    file: { get: { operationId: getFile } }
  parameters:
    blob: { name: path, in: path, required: true, allowReserved: true }
`

function settingsOf(rule: string): string {
  return `${DOOR}allowlist: [ eu.crm.test ]
callers: { app: { kind: api-key, key: { env: KEY } } }
connections: { crm: { hosts: [ "*.crm.test" ], credential: { kind: none } } }
grants:
  - caller: app
    connection: crm
    rules: [ ${rule} ]
`
}

async function fileWith(rule: string, description = CRM): Promise<string> {
  const file = await settingsFile(settingsOf(rule))
  await writeFile(join(dirname(file), 'crm.yaml'), description)
  return file
}

/** What is wrong, without the name of the file. */
async function faultsOf(rule: string, description = CRM): Promise<readonly string[]> {
  const file = await fileWith(rule, description)
  return (await refusalOf(loadSettings(file))).map((line) => line.replaceAll(`${dirname(file)}/`, ''))
}

const named = (...operations: string[]) => `{ openapi: { file: crm.yaml }, operations: [ ${operations.join(', ')} ] }`

async function asking(...operations: string[]) {
  const { settings } = await loadSettings(await fileWith(`{ methods: [ PURGE ] }, ${named(...operations)}`))
  const policy = compilePolicy(settings)
  const target = { kind: 'name', host: 'eu.crm.test', port: undefined } as const
  return (method: string, path: string) =>
    decide({ caller: { name: 'app', method: 'api-key' }, target, method, path, at: 0 }, policy)
}

test('a description that everybody may write to is not read again, and said so at the start', async () => {
  const file = await fileWith(named('listContacts'))
  expect((await loadSettings(file)).warnings).toEqual([])
  await expect(loadSettingsAgain(file)).resolves.toBeDefined()
  const description = join(dirname(file), 'crm.yaml')
  await chmod(description, 0o646)
  expect(await refusalOf(loadSettingsAgain(file))).toEqual([
    `${file}:1:1 goes by ${description}: may be written by everybody, chmod o-w`,
  ])
  expect((await loadSettings(file)).warnings).toEqual([
    `${file}:1:1 is not read again as it is: everybody may write to ${description}, chmod o-w`,
  ])
})

describe('operations let through exactly their requests', () => {
  test.each([
    ['listContacts', 'GET', '/v1/contacts'],
    ['listContacts', 'GET', '/v2/contacts'],
    ['addContact', 'POST', '/v1/contacts'],
    ['countContacts', 'HEAD', '/v1/contacts'],
    ['getContact', 'GET', '/v1/contacts/7'],
    ['getContact', 'GET', '/v1/contacts/a%20b'],
    ['getFile', 'GET', '/v1/contacts/7/files/cv.pdf'],
    ['overview', 'GET', '/v1/%C3%BCbersicht%20von%20x'],
    ['legacy', 'GET', '/old/legacy'],
  ])('%s: %s %s', async (id, method, path) => {
    const ask = await asking(id)
    expect(ask(method, path)).toMatchObject({ permitted: true, rule: 1 })
  })

  test.each([
    ['listContacts', 'HEAD', '/v1/contacts'],
    ['listContacts', 'POST', '/v1/contacts'],
    ['listContacts', 'GET', '/contacts'],
    ['listContacts', 'GET', '/box/contacts'],
    ['listContacts', 'GET', '/v3/contacts'],
    ['listContacts', 'GET', '/v1/contacts/'],
    ['getContact', 'GET', '/v1/contacts/'],
    ['getContact', 'GET', '/v1/contacts/7/files'],
    ['getContact', 'GET', '/v1/contacts/7%2Ffiles'],
    ['getContact', 'GET', '/v1/contacts/..'],
    ['overview', 'GET', '/v1/%C3%BCbersicht%20von%20x/y'],
    ['legacy', 'GET', '/v1/legacy'],
  ])('not by %s: %s %s', async (id, method, path) => {
    const ask = await asking(id)
    expect(ask(method, path)).toMatchObject({ permitted: false, code: 'rule-not-matched' })
  })
})

describe('is a settings error', () => {
  const at = 's.yaml:9:59 grants[0].rules[0].operations[0]: '

  test('an operation that is not described, with those that are', async () => {
    const [fault] = await faultsOf(named('listContact'))
    const ids =
      'addContact, anything, countContacts, getBlob, getContact, getFile, legacy, listContacts, overview, twice'
    expect(fault).toBe(`${at}use the id of an operation: ${ids}`)
  })

  test.each([
    ['twice', 'use an id that one operation alone has: GET /a and GET /b share it'],
    ['anything', 'write a rule with methods and paths for it: /{+rest} has more in it than {NAME} and plain text'],
    ['getBlob', 'write a rule with methods and paths for it: {path} of /blobs/{path} may hold slashes'],
  ])('%s', async (id, message) => {
    expect(await faultsOf(named(id))).toEqual([at + message])
  })

  test.each([
    ['Swagger 2', 'swagger: "2.0"\n', 'use a description of OpenAPI 3.0 or 3.1: it says so in "openapi"'],
    ['a list', '- 1\n', 'use a description of OpenAPI 3.0 or 3.1: it says so in "openapi"'],
    ['no YAML', 'a: [', /crm\.yaml:\d+:\d+ indent entries/],
    ['JSON that is none', '{ "openapi": ', /crm\.yaml:\d+:\d+ /],
  ])('a description that is %s', async (_what, description, message) => {
    const [fault] = await faultsOf(named('a'), description)
    expect(fault).toMatch(/^s\.yaml:9:25 grants\[0\]\.rules\[0\]\.openapi: /)
    expect(fault).toMatch(message)
  })

  test('a description that is not there', async () => {
    const [fault] = await faultsOf('{ openapi: { file: gone.yaml }, operations: [ a ] }')
    expect(fault).toContain('openapi: gone.yaml cannot be read (ENOENT): use the path of an OpenAPI description')
  })

  test.each([
    ['{ openapi: { file: crm.yaml } }', 'openapi: add operations: [ID, ...], the ids that are let through'],
    ['{ operations: [ a ] }', 'operations: add openapi: { file: PATH }, where they are described'],
    [
      '{ openapi: { file: crm.yaml }, operations: [ a ], methods: [ GET ] }',
      'methods: leave it out: the operations say which methods',
    ],
    [
      '{ openapi: { file: crm.yaml }, operations: [ a ], paths: [ /a ] }',
      'paths: leave it out: the operations say which paths',
    ],
  ])('%s', async (rule, message) => {
    expect((await faultsOf(rule)).join()).toContain(message)
  })

  test('servers that disagree, none of them on a host of the connection', async () => {
    const [fault] = await faultsOf(
      named('a'),
      'openapi: 3.0.3\nservers: [ { url: /v1 }, { url: https://other.test } ]\npaths: { /a: { get: { operationId: a } } }\n',
    )
    expect(fault).toContain('these have several base paths (/v1, /)')
  })
})

test('a description in JSON says the same as one in YAML', async () => {
  const json = JSON.stringify({
    openapi: '3.0.3',
    servers: [{ url: '/v1' }],
    paths: { '/a': { get: { operationId: 'a' } } },
  })
  const { settings } = await loadSettings(await fileWith(named('a'), json))
  expect(settings.grants[0]?.rules?.[0]?.alternatives).toEqual([{ methods: ['GET'], paths: ['/v1/a'] }])
})

test('a rule of operations that have not been read lets nothing be compiled', async () => {
  const { settings } = await loadSettings(await fileWith(named('listContacts')))
  const [grant] = settings.grants
  const unread = {
    ...settings,
    grants: [{ ...grant, connection: 'crm', mode: 'enforce' as const, rules: [{ openapi: { file: 'crm.yaml' } }] }],
  }
  expect(() => compilePolicy(unread)).toThrow('load the settings from a file')
})

test('whatever a template is, its rule takes every request of it, and none with a segment more', () => {
  const literal = fc.stringMatching(/^[A-Za-z0-9 _ü~-]{1,8}$/)
  const part = fc.oneof(literal, fc.constantFrom('{id}', '{a-b}', '{c.d}', 'x{id}', '{id}-{v}', '{a}{b}'))
  const value = fc
    .string({ minLength: 1, maxLength: 6, unit: 'binary' })
    .filter((text) => !/^[.]|[/\\%\0;]|[.]$/.test(text) && text.isWellFormed())
  fc.assert(
    fc.property(fc.array(part, { minLength: 1, maxLength: 5 }), value, (parts, given) => {
      const template = `/${parts.join('/')}`
      const description = readDescription(
        { openapi: '3.1.0', paths: { [template]: { put: { operationId: 'a' } } } },
        [],
      )
      if (typeof description === 'string') throw new Error(description)
      const rule = description.ruleFor('a')
      if (typeof rule === 'string') throw new Error(rule)
      const path = encodeURI(template.replaceAll(/\{[^}]*\}/g, '\0')).replaceAll('%00', encodeURIComponent(given))
      const compiled = compileRule(rule)
      expect(compiled.matches('PUT', path)).toBe(true)
      expect(compiled.matches('PUT', `${path}/more`)).toBe(false)
      expect(compiled.matches('GET', path)).toBe(false)
    }),
  )
})

test('a pipe, a device, a directory or a file without end is refused at once, and keeps no thread', async () => {
  const file = await fileWith('{ openapi: { file: pipe }, operations: [ x ] }')
  execFileSync('mkfifo', [join(dirname(file), 'pipe')])
  expect((await refusalOf(loadSettings(file))).join('\n')).toContain(
    'pipe is no regular file: use the path of an OpenAPI description',
  )
  for (const path of ['/dev/zero', '/']) {
    const text = (
      await refusalOf(loadSettings(await fileWith(`{ openapi: { file: ${path} }, operations: [ x ] }`)))
    ).join('\n')
    expect(text).toContain(`${path} is no regular file`)
  }
  const vast = await fileWith('{ openapi: { file: vast.yaml }, operations: [ x ] }')
  await writeFile(join(dirname(vast), 'vast.yaml'), '{}')
  await truncate(join(dirname(vast), 'vast.yaml'), 33 * 1024 * 1024)
  expect((await refusalOf(loadSettings(vast))).join('\n')).toContain('has more than 32 MiB: use a smaller description')
})
