import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { presets } from '../../src/settings/presets/registry.ts'
import { runCli } from '../support/sallyport.ts'
import { settingsFile } from '../support/settings-file.ts'

const TOP = 'listeners: [ { kind: forward, listen: 127.0.0.1:0 } ]\nallowlist: [ api.test ]\n'

function connection(credential: string, preset = ''): string {
  return `${TOP}connections:\n  api:\n    hosts: [ api.test ]\n${preset}    credential: { kind: client-credentials, clientId: a, ${credential} }\n`
}

const ENDPOINT = 'tokenEndpoint: "https://login.test/token"'
const SECRET = 'clientSecret: { file: secret }'
const ENTRA = '    preset: { name: entra, tenant: contoso.test, resource: "https://graph.test" }\n'

/** Each as the real command tells it; nothing is started. */
test.each([
  [
    'a public client with a secret',
    connection(`${ENDPOINT}, ${SECRET}, clientAuth: none`),
    'credential.clientSecret: leave it out, or set clientAuth to header or body: clientAuth none shows no client secret',
  ],
  [
    'a token endpoint without TLS',
    connection(`tokenEndpoint: "http://login.test/token", ${SECRET}`),
    'credential.tokenEndpoint: use https://: ',
  ],
  ['an issuer without TLS', connection(`issuer: "http://login.test", ${SECRET}`), 'credential.issuer: use https://: '],
  [
    'alg none among the algorithms of tokens',
    `${TOP}callers: { job: { kind: jwt, issuer: "https://login.test", audience: a, claims: { sub: a }, algorithms: [ none ] } }\n`,
    'callers.job.algorithms[0]: use one of ',
  ],
  [
    'both scope and resource, where the preset forbids it',
    connection(`${SECRET}, tokenParams: { resource: "https://graph.test" }`, ENTRA),
    'credential.tokenParams.resource: leave it out beside scope: ',
  ],
  ['a preset that is none', connection(SECRET, '    preset: entraid\n'), 'connections.api.preset: use one of auth0, '],
])('check refuses %s', async (_what, text, fault) => {
  const file = await settingsFile(text)
  const { code, stdout, stderr } = await runCli(['check', '--config', file])
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  expect(stderr.split('\n')).toHaveLength(2)
  expect(stderr.startsWith(`${file}:`)).toBe(true)
  expect(stderr).toContain(fault)
})

test('check warns of a client secret that no issuer can be shown, at its place', async () => {
  const file = await settingsFile(
    connection(`${ENDPOINT}, clientSecret: { current: { file: secret }, next: { file: none } }`),
  )
  const secret = join(dirname(file), 'secret')
  writeFileSync(secret, 's3cret\nfoo\n', { mode: 0o600 })
  const { code, stderr } = await runCli(['check', '--config', file])
  expect([code, stderr]).toEqual([
    0,
    expect.stringMatching(
      /^warning: \S+:6:\d+ connections\.api\.credential\.clientSecret\.current: has a line end or another .*: write the secret alone\n$/,
    ),
  ])
  expect(stderr).not.toContain('s3cret')
  writeFileSync(secret, 's3cret\n', { mode: 0o600 })
  expect(await runCli(['check', '--config', file])).toMatchObject({ code: 0, stderr: '' })
})

const PASSED = `${TOP}connections: { api: { hosts: [ api.test ], credential: { kind: static, secret: { systemd: crm } } } }\n`

test('what systemd hands to the service alone is left, said, and everything else is checked', async () => {
  const file = await settingsFile(PASSED)
  const env = { CREDENTIALS_DIRECTORY: undefined }
  const alone = await runCli(['check', '--config', file], { env })
  expect(alone).toMatchObject({ code: 0, stdout: expect.stringContaining('is right') })
  expect(alone.stderr).toBe(
    `warning: ${file}:3:80 connections.api.credential.secret: systemd hands crm to the service alone; to look at it from here, set CREDENTIALS_DIRECTORY to a directory with the file crm\n`,
  )
  const other = await settingsFile(`${PASSED}callers: { app: { kind: api-key, key: { file: none } } }\n`)
  const { code, stderr } = await runCli(['check', '--config', other], { env })
  expect([code, stderr]).toEqual([2, expect.stringMatching(/callers\.app\.key: \S+\/none does not exist/)])
})

test('what is sealed for systemd is left, too, and a directory without it is a fault', async () => {
  const file = await settingsFile(PASSED)
  const env = { CREDENTIALS_DIRECTORY: dirname(file) }
  const check = () => runCli(['check', '--config', file], { env })
  expect(await check()).toMatchObject({ code: 2, stderr: expect.stringContaining('crm does not exist') })
  writeFileSync(join(dirname(file), 'crm.cred'), 'sealed')
  expect(await check()).toMatchObject({ code: 0, stderr: expect.stringContaining('crm.cred is sealed') })
})

test('preset list names them all, and preset show prints the data', async () => {
  const list = await runCli(['preset', 'list'])
  expect(list.code).toBe(0)
  for (const name of presets.keys()) expect(list.stdout).toMatch(new RegExp(`^${name} +[a-z]`, 'm'))
  const shown = await runCli(['preset', 'show', 'entra', '--json'])
  const file = new URL('../../src/settings/presets/entra.json', import.meta.url)
  expect(JSON.parse(shown.stdout)).toMatchObject({ name: 'entra', ...JSON.parse(readFileSync(file, 'utf8')) })
  const words = await runCli(['preset', 'show', 'entra'])
  expect(words.stdout).toContain('scope: "{resource}/.default"')
})

test('preset show names those there are, where there is no such preset', async () => {
  const { code, stdout, stderr } = await runCli(['preset', 'show', 'aws'])
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  expect(stderr).toBe(`there is no such preset: use one of ${[...presets.keys()].join(', ')}\n`)
})
