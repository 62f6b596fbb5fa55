import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { sourceKinds } from '../../src/credentials/registry.ts'
import { loadSettings } from '../../src/settings/load.ts'
import { DOOR, faultsOf, refusalOf, settingsFile, temporaryFolder } from '../support/settings-file.ts'

const REFERENCE =
  'use { file: PATH }, { env: NAME }, { store: NAME } or { systemd: NAME }; a secret itself never stands in a settings file'
const TOP =
  'listeners, admin, health, allowlist, callers, connections, grants, ca, store, dns, audit, traces, log, drainTimeoutMs'

/** A connection whose credential is on line 7, and whatever else there is on line 8, both from column 5. */
function crm(setting: string): string {
  const rest = setting.startsWith('credential') ? setting : `credential: { kind: none }\n    ${setting}`
  return `${DOOR}allowlist: [ a.test ]\nconnections:\n  crm:\n    hosts: [ a.test ]\n    ${rest}\n`
}

describe('one wrong setting is told with its place and the form to use', () => {
  test.each([
    ['drainTimeoutMs: 0', '3:17 drainTimeoutMs: use 1 or more'],
    ['drainTimeoutMs: 99999999', '3:17 drainTimeoutMs: use 86400000 or less'],
    ['drainTimeoutMs: 1.5', '3:17 drainTimeoutMs: use a whole number'],
    ['drainTimeoutMs: "10"', '3:17 drainTimeoutMs: use a whole number, without quotes'],
    [
      'traces: { endpoint: "http://127.0.0.1:4318/v1/traces", sampler: { ratio: "0.5" } }',
      '3:74 traces.sampler.ratio: use a number, without quotes',
    ],
    ['log: debug', '3:6 log: use a mapping'],
    ['log: { level: loud }', '3:15 log.level: use one of debug, info, warn, error, silent'],
    ['callers:', '3:9 callers: is empty: use a mapping of names'],
    ['callers: []', '3:10 callers: use a mapping of names'],
    [
      'callers: { "a b": { kind: socket } }',
      '3:12 callers["a b"]: use a name of letters, digits, ".", "_", "@" and "-", 128 at most',
    ],
    [
      'callers: { a.b: { kind: magic } }',
      '3:25 callers["a.b"].kind: use one of api-key, jwt, kubernetes, mtls, spiffe, socket, unix-peer',
    ],
    ['callers: { a: { kind: api-key } }', '3:15 callers.a: use exactly one of key and digest'],
    [
      'callers: { a: { kind: unix-peer, uid: 65534 } }',
      '3:39 callers.a.uid: use an id of its own: 65534 is what the kernel shows for ids it cannot map, so it proves nobody',
    ],
    ['callers: { a: { kind: unix-peer } }', '3:15 callers.a: use uid, gid or both'],
    ['allowlist: api.test', '3:12 allowlist: use a list of hosts, or { hosts: [...], mode: report }'],
    [
      'admin: { listen: 0.0.0.0:80 }',
      '3:18 admin.listen: use a loopback address such as "127.0.0.1:80": whoever can reach 0.0.0.0:80 could use this door',
    ],
    ['grants: [ { caller: a } ]', '3:11 grants[0].connection: missing: use a text (name of a connection)'],
    [
      'grants: [ { caller: a, connection: 7 } ]',
      '3:36 grants[0].connection: use a text, in quotes (name of a connection)',
    ],
    [
      'grants: [ { caller: a, connection: b, until: tomorrow } ]',
      '3:46 grants[0].until: use a time such as 2027-06-30T00:00:00Z',
    ],
    [
      'grants: [ { caller: a, connection: b, rules: [] } ]',
      '3:46 grants[0].rules: name at least one rule, or leave rules out for all',
    ],
    [
      'grants: [ { caller: a, connection: b, rules: [ { methods: [ get ] } ] } ]',
      '3:61 grants[0].rules[0].methods[0]: use the method as it is sent, as in "GET"',
    ],
    [
      'grants: [ { caller: a, connection: b, rules: [ { paths: [ v1 ] } ] } ]',
      '3:59 grants[0].rules[0].paths[0]: use "/v1": a path starts with "/"',
    ],
    ['dns: { servers: [] }', '3:17 dns.servers: name at least 1'],
    ['audit: { sinks: [ { kind: json-lines, path: "" } ] }', '3:45 audit.sinks[0].path: use a text that is not empty'],
  ])('%s', async (setting, expected) => {
    expect(await faultsOf(`${DOOR}${setting}\n`)).toEqual([`s.yaml:${expected}`])
  })
})

describe('one wrong setting of a connection is told with its place and the form to use', () => {
  test.each([
    [
      'credential: { kind: magic }',
      `7:25 connections.crm.credential.kind: use one of ${Object.keys(sourceKinds).join(', ')}`,
    ],
    ['port: 0', '8:11 connections.crm.port: use 1 or more'],
    ['port: "443"', '8:11 connections.crm.port: use a whole number, without quotes'],
    ['websocket: "yes"', '8:16 connections.crm.websocket: use true or false, without quotes'],
    ['basePath: v1', '8:15 connections.crm.basePath: use a path such as "/v1": "/" first, none last, no query'],
    ['basePath: /v1/../v2', '8:15 connections.crm.basePath: use a path without "//", ".", ".." or an encoded slash'],
    ['tls: { ca: a.pem }', '8:16 connections.crm.tls.ca: use { file: PATH }'],
    [
      'allowPrivate: [ 10.0.0.1 ]',
      '8:21 connections.crm.allowPrivate[0]: use an address range such as "10.20.0.0/16", "127.0.0.1/32" or "fd00:1::/48"',
    ],
    [
      'credential: { kind: client-credentials, clientId: x, clientSecret: { env: X } }',
      '7:17 connections.crm.credential: use exactly one of tokenEndpoint and issuer',
    ],
    [
      'credential: { kind: client-credentials, clientId: x, clientSecret: { env: X }, issuer: http://a.test }',
      '7:92 connections.crm.credential.issuer: use https://: the client secret would travel in the clear; for a test on one machine, set unsafeAllowPlaintextIssuer: true',
    ],
    [
      'credential: { kind: client-credentials, clientId: x, clientSecret: { env: X }, issuer: https://a.test, tokenParams: { a: 3 } }',
      '7:126 connections.crm.credential.tokenParams.a: use a text or a list',
    ],
  ])('%s', async (setting, expected) => {
    expect(await faultsOf(crm(setting))).toEqual([`s.yaml:${expected}`])
  })
})

test('every fault is told at once, in the order of the file', async () => {
  const text = `drainTimeoutMs: 0\nlog: { level: loud }\ngrants: {}\nfoo: 1\n${DOOR}bar: 1\nallowlist: [ A.test, 7 ]\n`
  const lines = await faultsOf(text)
  expect(lines.map((line) => line.split(': ')[0])).toEqual([
    's.yaml:1:17 drainTimeoutMs',
    's.yaml:2:15 log.level',
    's.yaml:3:9 grants',
    's.yaml:4:1 foo',
    's.yaml:7:1 bar',
    's.yaml:8:14 allowlist[0]',
    's.yaml:8:22 allowlist[1]',
  ])
})

test('a missing setting is told at the mapping it is missing from', async () => {
  expect(await faultsOf('log: { level: info }\n')).toEqual([
    's.yaml:1:1 listeners: missing: use a list (the doors callers knock on)',
  ])
})

test('the top level is a mapping', async () => {
  expect(await faultsOf('- a\n')).toEqual(['s.yaml:1:1 use a mapping'])
})

describe('K01', () => {
  test('an unknown key lists the known ones, at every depth', async () => {
    const text = `${DOOR}alowlist: []\ncallers: { a: { kind: socket, uid: 7 } }\n`
    expect(await faultsOf(text)).toEqual([
      `s.yaml:3:1 alowlist: did you mean "allowlist"? unknown key; known here: ${TOP}`,
      's.yaml:4:31 callers.a.uid: unknown key; known here: kind, unsafeAnyLocalProcess',
    ])
  })

  test.each([
    ['a duplicate key', `${DOOR}log: {}\nlog: {}\n`, '4:1 use each key once in a mapping'],
    ['a duplicate name', `${DOOR}callers:\n  a: {}\n  a: {}\n`, '5:3 use each key once in a mapping'],
    ['a tab', `${DOOR}log:\n\tlevel: info\n`, '4:1 use spaces to indent'],
    ['a key of JavaScript objects', `${DOOR}callers:\n  __proto__: {}\n`, '4:3 use another key'],
    ['a key that is no text', `${DOOR}{ a: b }: 1\n`, '3:1 use a plain text as the key'],
    ['a second document', `${DOOR}---\n{}\n`, '3:1 use one document: nothing may come after a second "---"'],
    [
      'a tag',
      `${DOOR}log: !!js/function x\n`,
      '3:6 leave the tag, which starts with "!", out; a text that starts with "!" needs quotes',
    ],
    ['another YAML', `%YAML 1.1\n---\n${DOOR}`, '1:1 leave "%YAML" out: settings are YAML 1.2'],
    [
      'an alias of nothing',
      `${DOOR}log: *x\n`,
      '3:6 put the text in quotes, or set the anchor above: "*" at its start refers to one',
    ],
    [
      'an alias within its own anchor',
      `${DOOR}log: &x { level: *x }\n`,
      '3:18 put the text in quotes, or set the anchor above: "*" at its start refers to one',
    ],
    ['an open quote', `${DOOR}log: "x\n`, '4:1 close what is open: a quote, "]", "}", or a ":" after a key'],
    ['deep nesting', `${DOOR}log: ${'['.repeat(20_000)}\n`, /^3:\d+ nest less deeply: nothing here needs it$/],
  ])('%s is refused with its place', async (_, text, expected) => {
    const lines = await faultsOf(text)
    expect(lines).toHaveLength(1)
    const [line = ''] = lines
    if (typeof expected === 'string') expect(line).toBe(`s.yaml:${expected}`)
    else expect(line.replace('s.yaml:', '')).toMatch(expected)
  })

  test('an alias bomb is refused before it goes off', async () => {
    const level = (name: string, of: string) =>
      `${name}: &${name} [ ${Array.from({ length: 3 }, () => `*${of}`).join(', ')} ]\n`
    const bomb = `a: &a [ x, x, x ]\n${level('b', 'a')}${level('c', 'b')}${level('d', 'c')}`
    expect(await faultsOf(bomb)).toEqual(['s.yaml:2:9 write it out: aliases may repeat ten things at most'])
    expect(await faultsOf(bomb + level('e', 'd'))).toEqual([
      's.yaml:5:13 write it out: aliases may repeat ten things at most',
    ])
  })

  test('a few aliases are fine', async () => {
    const text = `${DOOR}allowlist: &hosts [ a.test ]\nconnections: { crm: { hosts: *hosts, credential: { kind: none } } }\n`
    expect(await faultsOf(text)).toEqual([])
  })

  test('a byte order mark is no part of the text, and moves no place', async () => {
    expect(await faultsOf(`\uFEFF${DOOR}`)).toEqual([])
    expect(await faultsOf(`\uFEFFfoo: 1\n${DOOR}`)).toEqual([`s.yaml:1:1 foo: unknown key; known here: ${TOP}`])
  })

  test('a file of 5 MB is refused', async () => {
    expect(await faultsOf(`${DOOR}#${' '.repeat(5_000_000)}\n`)).toEqual([
      's.yaml:1:1 is larger than 4 MiB: use the path of a settings file',
    ])
  })

  test('a file without an end is refused', async () => {
    expect(await refusalOf(loadSettings('/dev/zero'))).toEqual([
      '/dev/zero:1:1 is larger than 4 MiB: use the path of a settings file',
    ])
  })

  test('an empty file says what is missing', async () => {
    expect(await faultsOf('')).toEqual(['s.yaml:1:1 listeners: missing: use a list (the doors callers knock on)'])
  })

  test('bytes that are not UTF-8 are refused with their place', async () => {
    expect(await faultsOf(Buffer.from(`${DOOR}# caf\xe9\n`, 'latin1'))).toEqual([
      's.yaml:3:6 use UTF-8: this byte is not of it',
    ])
  })

  test('a directory is refused', async () => {
    const folder = join(await temporaryFolder(), 'conf.d')
    await mkdir(folder)
    expect(await refusalOf(loadSettings(folder))).toEqual([
      `${folder}:1:1 is a directory: use the path of a settings file`,
    ])
  })

  test('a file that is not there is refused', async () => {
    const file = join(await temporaryFolder(), 'none.yaml')
    expect(await refusalOf(loadSettings(file))).toEqual([`${file}:1:1 does not exist: use the path of a settings file`])
  })
})

describe('a secret written inline is refused, and not repeated', () => {
  test.each([
    [
      'as a text',
      'credential: { kind: static, secret: hunter2-inline }',
      `7:41 connections.crm.credential.secret: ${REFERENCE}`,
    ],
    [
      'as a number',
      'credential: { kind: static, secret: 1234567890 }',
      `7:41 connections.crm.credential.secret: ${REFERENCE}`,
    ],
    [
      'under another key',
      'credential: { kind: static, secret: { value: hunter2-inline } }',
      `7:41 connections.crm.credential.secret: ${REFERENCE}`,
    ],
    [
      'as a list',
      'credential: { kind: static, secret: [ hunter2-inline ] }',
      `7:41 connections.crm.credential.secret: ${REFERENCE}`,
    ],
    [
      'as the name of a variable',
      'credential: { kind: static, secret: { env: "hunter2-inline" } }',
      '7:48 connections.crm.credential.secret.env: use the name of an environment variable, as in { env: CRM_SECRET }',
    ],
  ])('%s', async (_, setting, expected) => {
    const lines = await faultsOf(crm(setting))
    expect(lines).toEqual([`s.yaml:${expected}`])
    expect(lines.join()).not.toMatch(/hunter2|1234567890/)
  })

  test.each([
    ['a caller’s key', 'callers: { a: { kind: api-key, key: hunter2-inline } }'],
    ['a digest', 'callers: { a: { kind: api-key, digest: hunter2-inline } }'],
    ['the key of the audit', 'audit: { fingerprintKey: hunter2-inline }'],
    ['text that is no YAML', 'audit: { fingerprintKey: "hunter2-inline }'],
    ['text that looks like an alias', 'audit: { fingerprintKey: *hunter2-inline }'],
    ['text that looks like a tag', 'audit: { fingerprintKey: !hunter2-inline x }'],
    ['text that looks like an escape', 'audit: { fingerprintKey: "\\qhunter2-inline" }'],
    ['text that goes on', 'audit: { fingerprintKey: a\nhunter2-inline: b'],
  ])('%s', async (_, setting) => {
    const lines = await faultsOf(`${DOOR}${setting}\n`)
    expect(lines.length).toBeGreaterThan(0)
    expect(lines.join()).not.toContain('hunter2')
  })
})

test('what is right is loaded, with an absolute path', async () => {
  const file = await settingsFile(`${DOOR}drainTimeoutMs: 5\n`)
  const { settings, warnings, file: path } = await loadSettings(file)
  expect(settings.drainTimeoutMs).toBe(5)
  expect(warnings).toEqual([])
  expect(path).toBe(file)
})
