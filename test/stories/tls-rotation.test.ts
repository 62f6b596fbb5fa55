import { mkdirSync, renameSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { makeOddRoot } from '../support/certificates.ts'
import { eventually, type Running, remove, runCli, startSallyport, writeSecret } from '../support/sallyport.ts'
import { talk } from '../support/tunnel.ts'
import { OK, type RawUpstream, startUpstream } from '../support/upstream.ts'
import { authority, doorOf, PROOF, stopCrm } from './crm.ts'
import { DOOR_TLS, makeSigners, openTls, showing, startTlsSite, tlsDirectory, tlsSettings } from './tls-site.ts'

const ANSWER = /\r\n\r\n(?:ok|\{.*\}\n)$/
const signers = await makeSigners()

let upstream: RawUpstream

beforeAll(async () => {
  upstream = await startUpstream(() => OK, await authority.issue(['api.crm.test']))
})

afterAll(() => upstream?.close())

function request(path: string, proof = ''): string {
  return `GET http://api.crm.test${path} HTTP/1.1\r\nHost: api.crm.test\r\n${proof}\r\n`
}

/** As most programs replace a file. */
function replace(directory: string, name: string, text: string): void {
  writeFileSync(join(directory, `${name}.new`), text, { mode: 0o600 })
  renameSync(join(directory, `${name}.new`), join(directory, name))
}

/** By whom the door is vouched for at this moment. */
async function isVouchedForBy(running: Running, ca: string): Promise<true | undefined> {
  const socket = await openTls(doorOf(running, 'forward'), { ca }).catch(() => undefined)
  socket?.destroy()
  return socket && true
}

test('a new certificate and key are taken in, one file after the other, and no connection is dropped', async () => {
  const site = await startTlsSite(signers, upstream.port)
  const open = await openTls(doorOf(site, 'forward'), { ca: signers.doors.certPem })
  await talk(open, request('/before', PROOF), ANSWER)
  const next = await makeOddRoot()
  const renewed = await next.issue({ dns: ['localhost'] })
  replace(site.directory, 'door.pem', renewed.cert)
  // Half of a pair: whoever comes now gets the one before.
  await eventually(async () => {
    expect(await isVouchedForBy(site, signers.doors.certPem)).toBe(true)
    return /the two do not belong together/.exec(site.output()) ?? undefined
  }, 'what is told of half a pair')
  replace(site.directory, 'door.key', renewed.key)
  await eventually(() => isVouchedForBy(site, next.certPem), 'the new certificate')
  expect((await talk(open, request('/after', PROOF), ANSWER)).text).toMatch(/^HTTP\/1\.1 200 /)
})

test('a Kubernetes mount is followed, and what is swapped in for the worse is told and not used', async () => {
  const directory = await tlsDirectory(signers)
  const put = (version: string, { cert, key }: { cert: string; key: string }) => {
    mkdirSync(join(directory, 'mount', version), { recursive: true })
    writeFileSync(join(directory, 'mount', version, 'tls.crt'), cert)
    writeFileSync(join(directory, 'mount', version, 'tls.key'), key)
    symlinkSync(version, join(directory, 'mount', '..data.new'))
    renameSync(join(directory, 'mount', '..data.new'), join(directory, 'mount', '..data'))
  }
  put('..1', await signers.doors.issue({ dns: ['localhost'] }))
  for (const name of ['tls.crt', 'tls.key']) symlinkSync(`..data/${name}`, join(directory, 'mount', name))
  const tls = { certificate: { file: 'mount/tls.crt' }, key: { file: 'mount/tls.key' } }
  const listeners = [{ kind: 'forward', listen: '127.0.0.1:0', tls }]
  const site = await startSallyport(directory, tlsSettings(upstream.port, { listeners, callers: KEYED, grants: [] }))
  try {
    const next = await makeOddRoot()
    put('..2', await next.issue({ dns: ['localhost'] }))
    await eventually(() => isVouchedForBy(site, next.certPem), 'the new certificate')
    put('..3', await signers.doors.issue({ dns: ['localhost'], until: Date.now() - 1000 }))
    await eventually(async () => {
      expect(await isVouchedForBy(site, next.certPem)).toBe(true)
      return /has expired on [^"]+: renew it/.exec(site.output()) ?? undefined
    }, 'what is told of an expired one')
  } finally {
    await stopCrm(site)
  }
})

const KEYED = { checkout: { kind: 'api-key', key: { file: 'checkout' } } }

test('an authority that is taken off clientCa vouches for nobody any more, also on a connection that is open', async () => {
  const site = await startTlsSite(signers, upstream.port)
  const shown = showing(await signers.clients.issue({ dns: ['payments.test'] }))
  const open = await openTls(doorOf(site, 'forward'), { ca: signers.doors.certPem, ...shown })
  expect((await talk(open, request('/trusted'), ANSWER)).text).toMatch(/^HTTP\/1\.1 200 /)
  replace(site.directory, 'clients.pem', (await makeOddRoot()).certPem)
  await eventually(async () => {
    const { text } = await talk(open, request('/still'), ANSWER)
    return text.includes('"code":"certificate-unknown"') ? true : undefined
  }, 'a refusal')
  replace(site.directory, 'clients.pem', signers.clients.certPem)
  await eventually(async () => {
    const { text } = await talk(open, request('/again'), ANSWER)
    return text.startsWith('HTTP/1.1 200 ') ? true : undefined
  }, 'to be known again')
})

test('a bundle of Filesystem Delivery that is removed ends the federation, and one that comes back renews it', async () => {
  const directory = await tlsDirectory(signers)
  mkdirSync(join(directory, 'delivered'))
  const file = join(directory, 'delivered', 'prod.test.spiffe-trust-bundle.pem')
  writeFileSync(file, signers.prod.certPem)
  const web = {
    kind: 'spiffe',
    ids: ['spiffe://prod.test/web'],
    folder: { path: 'delivered', trustDomains: ['prod.test'] },
  }
  const tls = { certificate: DOOR_TLS.certificate, key: DOOR_TLS.key }
  const settings = tlsSettings(upstream.port, {
    listeners: [{ kind: 'forward', listen: '127.0.0.1:0', tls }],
    callers: { web },
    grants: [{ caller: 'web', connection: 'crm' }],
  })
  const site = await startSallyport(directory, settings)
  try {
    const shown = showing(await signers.prod.issue({ uris: ['spiffe://prod.test/web'] }))
    const open = await openTls(doorOf(site, 'forward'), { ca: signers.doors.certPem, ...shown })
    const answered = async (start: string) => {
      const { text } = await talk(open, request('/delivered'), ANSWER)
      return text.startsWith(start) ? true : undefined
    }
    expect(await answered('HTTP/1.1 200 ')).toBe(true)
    unlinkSync(file)
    await eventually(() => answered('HTTP/1.1 407 '), 'the end of the federation')
    writeFileSync(file, signers.prod.certPem)
    await eventually(() => answered('HTTP/1.1 200 '), 'the federation again')
  } finally {
    await stopCrm(site)
  }
})

/** What `check` says of settings with these files in the place of the usual ones. */
async function checked(files: Readonly<Record<string, string>>, more: Readonly<Record<string, unknown>> = {}) {
  const directory = await tlsDirectory(signers)
  for (const [name, text] of Object.entries(files)) writeSecret(directory, name, text)
  const file = writeSecret(directory, 'sallyport.yaml', JSON.stringify(tlsSettings(upstream.port, more)))
  const { code, stderr } = await runCli(['check', '--config', file])
  remove(directory)
  return { code, stderr: stderr.replaceAll(`${directory}/`, '') }
}

test('certificates and keys that are no good are settings errors, each with its place and a remedy', async () => {
  const [one, two, server] = await Promise.all([
    signers.doors.issue({ dns: ['localhost'] }),
    signers.doors.issue({ dns: ['localhost'] }),
    signers.doors.issue({ dns: ['localhost'], until: Date.now() - 1000 }),
  ])
  const lines = await Promise.all([
    checked({ 'door.key': two.key, 'door.pem': one.cert }),
    checked({ 'door.key': two.key, 'door.pem': one.cert + two.cert }),
    checked({ 'door.key': server.key, 'door.pem': server.cert }),
    checked({ 'door.key': 'not a key' }),
    checked({ 'door.pem': 'not a certificate' }),
    checked({ 'clients.pem': one.key }),
    checked({ 'prod.pem': one.cert }),
  ])
  expect(lines.map(({ code }) => code)).toEqual(lines.map(() => 2))
  const [mismatch, misplaced, expired, key, certificate, clientCa, bundle] = lines.map(({ stderr }) => stderr)
  expect(mismatch).toMatch(/listeners\[0\]\.tls\.key: use the key of this certificate: the two do not belong together/)
  expect(misplaced).toMatch(/listeners\[1\]\.tls\.key: put the certificate of this key first in its file/)
  expect(expired).toMatch(/listeners\[0\]\.tls\.certificate: has expired on 20[^:]+:\d\d:\d\d.\d+Z: renew it/)
  expect(key).toMatch(/tls\.key: use a private key in PEM \("-----BEGIN PRIVATE KEY-----"\) that needs no passphrase/)
  expect(certificate).toMatch(/tls\.certificate: door\.pem holds no certificate: use a PEM file/)
  expect(clientCa).toMatch(/tls\.clientCa: clients\.pem holds no certificate/)
  expect(bundle).toMatch(
    /callers\.mesh\.bundles\["?prod\.test"?\]: prod\.pem is no trust bundle: certificate 1 is no authority/,
  )
})

test('without tls no other address than loopback, with the remedy; no tls at a socket; nobody by standing at such a door', async () => {
  const open = { kind: 'forward', listen: '0.0.0.0:15001' }
  const [plain, socket, standing] = await Promise.all([
    checked({}, { listeners: [open] }),
    checked({}, { listeners: [{ kind: 'forward', listen: 'unix:x.sock', tls: DOOR_TLS }] }),
    checked(
      {},
      {
        listeners: [{ ...open, tls: DOOR_TLS, caller: 'here' }],
        callers: { here: { kind: 'socket', unsafeAnyLocalProcess: true } },
        grants: [],
      },
    ),
  ])
  expect(plain.stderr).toMatch(
    /listeners\[0\]\.listen: use a loopback address [\s\S]* Or encrypt it, by tls: \{ certificate/,
  )
  expect(socket.stderr).toMatch(/listeners\[0\]\.tls: leave it out: a socket never leaves this machine/)
  expect(standing.stderr).toMatch(
    /listeners\[0\]\.caller: leave it out: whoever can reach this address would be this caller/,
  )
})

test('what can never be proved is a warning', async () => {
  const listeners = [{ kind: 'forward', listen: '127.0.0.1:0' }]
  const { code, stderr } = await checked({}, { listeners })
  expect(code).toBe(0)
  expect(stderr).toMatch(/callers\.payments: can never be proved: no listener has tls with clientCa/)
  expect(stderr).toMatch(/callers\.mesh: can never be proved: no listener has tls, and without audience/)
})
