import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { authority, CALLER_KEY, CREDENTIAL, doorOf, stopCrm } from '../stories/crm.ts'
import { makeSigners, tlsDirectory, tlsSettings } from '../stories/tls-site.ts'
import { hasTool, pathOf } from '../support/debian.ts'
import { eventually, type Running, startSallyport } from '../support/sallyport.ts'
import { OK, type RawUpstream, startUpstream } from '../support/upstream.ts'
import { runProgram } from './client.ts'
import { BUILD_MS, goProgram } from './go-program.ts'

const PROGRAMS = fileURLToPath(new URL('./programs', import.meta.url))
const signers = await makeSigners()

let upstream: RawUpstream
let running: Running
let directory: string

beforeAll(async () => {
  upstream = await startUpstream(() => OK, await authority.issue(['api.crm.test']))
  directory = await tlsDirectory(signers)
  const put = (name: string, text: string) => writeFileSync(join(directory, name), text, { mode: 0o600 })
  const client = await signers.clients.issue({ dns: ['payments.test'] })
  const between = await signers.prod.under()
  const svid = await between.issue({ uris: ['spiffe://prod.test/ns/a/sa/web'] })
  const strange = await signers.partner.issue({ dns: ['payments.test'] })
  put('client.pem', client.cert)
  put('client.key', client.key)
  put('svid.pem', svid.cert + between.certPem)
  put('svid.key', svid.key)
  put('strange.pem', strange.cert)
  put('strange.key', strange.key)
  put('doors.pem', signers.doors.certPem)
  running = await startSallyport(directory, tlsSettings(upstream.port))
})

afterAll(async () => {
  await stopCrm(running)
  await upstream?.close()
})

const at = (name: string) => join(directory, name)
const ourCa = () => at('ca/ca.pem')
const portOf = (kind: 'forward' | 'reverse') => doorOf(running, kind).split(':')[1] ?? ''

async function run(program: string, args: readonly string[], env: Readonly<Record<string, string>> = {}, input = '\n') {
  const surroundings = { env: { PATH: '/usr/bin:/bin', ...env }, cwd: directory, deadlineMs: 50_000, input }
  return runProgram(program, args, surroundings)
}

function curl(...args: readonly string[]) {
  return run(pathOf('curl'), ['--silent', '--show-error', '--max-time', '10', ...args])
}

async function callerOf(path: string) {
  return eventually(
    async () => (await running.audit(1)).find((entry) => entry['path'] === path)?.['caller'],
    `an entry of ${path}`,
  )
}

test.skipIf(!hasTool('curl'))('curl --cert at a reverse door, and not without', async () => {
  const url = (path: string) => `https://localhost:${portOf('reverse')}${path}`
  const known = await curl(
    '--cacert',
    at('doors.pem'),
    '--cert',
    at('client.pem'),
    '--key',
    at('client.key'),
    url('/c1'),
  )
  expect(known).toMatchObject({ code: 0, stdout: 'ok' })
  expect(await callerOf('/c1')).toBe('payments')
  const strange = ['--cert', at('strange.pem'), '--key', at('strange.key')]
  const unknown = await curl('--cacert', at('doors.pem'), ...strange, url('/c2'))
  expect(unknown.stdout).toContain('"code":"certificate-unknown"')
  const keyed = ['--header', `Authorization: Bearer ${CALLER_KEY}`]
  expect((await curl('--cacert', at('doors.pem'), ...keyed, url('/c3'))).stdout).toBe('ok')
  expect(await callerOf('/c3')).toBe('checkout')
})

test.skipIf(!hasTool('curl'))(
  'curl through an HTTPS proxy by certificate: http:// as it is, https:// by CONNECT inside',
  async () => {
    const proxy = ['--proxy', `https://localhost:${portOf('forward')}`, '--proxy-cacert', at('doors.pem')]
    const svid = ['--proxy-cert', at('svid.pem'), '--proxy-key', at('svid.key')]
    expect(await curl(...proxy, ...svid, 'http://api.crm.test/p1')).toMatchObject({ code: 0, stdout: 'ok' })
    expect(await callerOf('/p1')).toBe('prod.test/ns/a/sa/web')
    const url = `https://api.crm.test:${upstream.port}/p2`
    expect(await curl(...proxy, ...svid, '--cacert', ourCa(), url)).toMatchObject({ code: 0, stdout: 'ok' })
    expect(await callerOf('/p2')).toBe('prod.test/ns/a/sa/web')
    expect(upstream.heads().at(-1)).toContain(`Authorization: Bearer ${CREDENTIAL}\r\n`)
  },
)

test.skipIf(!hasTool('openssl'))('openssl s_client sees who may vouch for it, and cannot renegotiate', async () => {
  const args = ['s_client', '-connect', `localhost:${portOf('reverse')}`, '-CAfile', at('doors.pem'), '-tls1_2']
  const shown = ['-cert', at('client.pem'), '-key', at('client.key'), '-verify_return_error']
  const { stdout, stderr } = await run(pathOf('openssl'), [...args, ...shown], {}, 'R\n')
  expect(stdout).toContain('Verify return code: 0 (ok)')
  expect(stdout).toMatch(/Acceptable client certificate CA names\nCN ?= ?root /)
  expect(stdout).not.toContain('TLS session ticket:')
  expect(stdout + stderr).toMatch(/RENEGOTIATING[\s\S]*no renegotiation/)
  const again = await run(pathOf('openssl'), [...args, ...shown, '-reconnect'])
  expect(again.stdout.match(/^New, TLSv1\.2/gm)).toHaveLength(6)
  expect(again.stdout).not.toContain('Reused')
})

test.skipIf(!hasTool('python3'))('Python: keep-alive by certificate, and TLS in TLS', async () => {
  const program = join(PROGRAMS, 'tls_get.py')
  const shown = [at('doors.pem'), at('client.pem'), at('client.key')]
  const reverse = await run(pathOf('python3'), [program, portOf('reverse'), ...shown, 'reverse', ourCa()])
  expect(reverse).toMatchObject({ code: 0, stdout: '200 ok\n200 ok\n' })
  const target = `api.crm.test:${upstream.port}`
  const inside = await run(pathOf('python3'), [program, portOf('forward'), ...shown, target, ourCa()])
  expect(inside.stderr).toBe('')
  expect(inside.stdout).toBe('HTTP/1.1 200 Connection established\nHTTP/1.1 200 OK\n')
  expect(await callerOf('/python/inside')).toBe('payments')
})

test.skipIf(!hasTool('go'))(
  'Go: an HTTPS proxy by certificate, http:// and https://',
  async () => {
    const program = await goProgram(join(PROGRAMS, 'get_tls.go'))
    const env = {
      PROXY: `https://localhost:${portOf('forward')}`,
      PROXY_CA: at('doors.pem'),
      ORIGIN_CA: ourCa(),
      CERT: at('client.pem'),
      KEY: at('client.key'),
    }
    for (const url of ['http://api.crm.test/go-1', `https://api.crm.test:${upstream.port}/go-2`])
      expect(await run(program, [url], env)).toMatchObject({ code: 0, stdout: 'ok' })
    expect(await callerOf('/go-2')).toBe('payments')
  },
  BUILD_MS,
)
