import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { startDnsStub } from '../support/dns-stub.ts'
import { faultsOfAll, readManifests } from '../support/kubernetes-strict.ts'
import { runCli } from '../support/sallyport.ts'
import { settingsFile } from '../support/settings-file.ts'

const CRM = `listeners: [ { kind: forward, listen: 127.0.0.1:15001 } ]
allowlist: [ api.crm.test ]
connections:
  crm:
    hosts: [ api.crm.test ]
    credential: { kind: client-credentials, tokenEndpoint: "https://login.crm.test/token", clientId: a, clientSecret: { file: nowhere } }
`
const STORE = 'store: { kind: postgres, url: { file: database } }\n'

async function exported(text: string, ...args: readonly string[]) {
  const config = await settingsFile(text)
  return { config, ...(await runCli(['export', ...args, '--config', config])) }
}

test('prints a policy, and needs no secret for it', async () => {
  const { code, stdout, stderr } = await exported(CRM, 'networkpolicy', '--shape', 'sidecar', '--apps', 'app=checkout')
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(faultsOfAll(readManifests(stdout))).toEqual([])
  expect(stdout).toContain('# login.crm.test:443: token endpoint of crm\n')
  expect(stdout).toContain('app: checkout\n')
})

test('each form says what it is for', async () => {
  for (const form of ['networkpolicy', 'cilium', 'nftables']) {
    const { code, stdout } = await runCli(['export', form, '--help'])
    expect(code).toBe(0)
    expect(stdout).toContain('--also <host:port>')
  }
})

test('reads where the store is out of its secret, and prints nothing else of that', async () => {
  const config = await settingsFile(CRM + STORE)
  writeFileSync(join(dirname(config), 'database'), 'postgres://me:LT_CANARY@db.test:6432/it\n', { mode: 0o600 })
  const { code, stdout, stderr } = await runCli(['export', 'nftables', '--config', config])
  expect(code).toBe(0)
  expect(stdout).toContain('# db.test:6432: store (PostgreSQL)\n    tcp dport 6432 accept\n')
  expect(stdout + stderr).not.toContain('LT_CANARY')
})

test('a store on a socket is no server', async () => {
  const config = await settingsFile(CRM + STORE)
  writeFileSync(join(dirname(config), 'database'), 'postgres://me:x@/it?host=/run/postgresql\n', { mode: 0o600 })
  const { stdout } = await runCli(['export', 'nftables', '--config', config])
  expect(stdout).not.toContain('PostgreSQL')
})

test('without that secret it is to be named, and then the secret is left alone', async () => {
  const without = await exported(CRM + STORE, 'cilium', '--shape', 'sidecar')
  expect({ code: without.code, stdout: without.stdout }).toEqual({ code: 2, stdout: '' })
  expect(without.stderr).toContain('name it by --store HOST:PORT')
  const named = await exported(CRM + STORE, 'cilium', '--shape', 'sidecar', '--store', 'db.test:5432')
  expect(named).toMatchObject({ code: 0, stderr: '' })
  expect(named.stdout).toContain('# store (PostgreSQL)\n        - matchName: db.test\n')
})

test('asks for the addresses of today as Sallyport would, and fails where there is none', async () => {
  const dns = await startDnsStub({ 'api.crm.test': { a: ['44.0.0.2'] } })
  const here = `dns: { servers: [ "${dns.address}" ] }\n`
  const missing = await exported(CRM + here, 'networkpolicy', '--shape', 'sidecar', '--resolve')
  expect({ code: missing.code, stdout: missing.stdout }).toEqual({ code: 2, stdout: '' })
  expect(missing.stderr).toContain('login.crm.test cannot be resolved here')
  const pinned = `dns: { servers: [ "${dns.address}" ], hosts: { login.crm.test: [ 44.0.0.3 ] } }\n`
  const { code, stdout, stderr } = await exported(CRM + pinned, 'networkpolicy', '--shape', 'sidecar', '--resolve')
  expect(code).toBe(0)
  expect(stdout).toContain('cidr: 44.0.0.2/32')
  expect(stdout).toContain('cidr: 44.0.0.3/32')
  expect(stdout).not.toContain('0.0.0.0/0')
  expect(stderr).toContain('warning: WARNING: addresses are those of the moment')
  dns.close()
})

test.each([
  [['networkpolicy', '--apps', 'checkout'], 'KEY=VALUE'],
  [['networkpolicy', '--namespace', 'Shop'], 'name of a namespace'],
  [['cilium', '--also', 'db.test'], 'HOST:PORT'],
  [['cilium', '--also', 'db.test:70000'], 'port from 1 to 65535'],
  [['nftables', '--sallyport-user', '0; flush ruleset'], 'number or the name of a user'],
  [['nftables', '--dns', 'resolver.test'], 'address of a name server'],
  [['nftables', '--redirect-to', '0'], 'port from 1 to 65535'],
])('refuses %j', async (args, words) => {
  const { code, stdout, stderr } = await exported(CRM, ...args)
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  expect(stderr).toContain(words)
})
