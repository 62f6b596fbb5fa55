import { once } from 'node:events'
import { connect, type SecureVersion } from 'node:tls'
import { expect, test } from 'vitest'
import { ephemeralAuthority } from '../../src/ca/authority.ts'
import { handshake } from './presented.ts'
import { present } from './verifiers.ts'

const TERMS = { hosts: ['api.test', '*.files.test'], now: Date.now }

test.each<SecureVersion>(['TLSv1', 'TLSv1.1'])('%s is not spoken', async (version) => {
  const port = await presentedAt('api.test')
  const old = { minVersion: version, maxVersion: version, ciphers: 'ALL:@SECLEVEL=0' }
  await expect(handshake(port, old)).rejects.toMatchObject({ code: 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION' })
})

test.each<SecureVersion>(['TLSv1.2', 'TLSv1.3'])('%s: no session is resumed, under no name', async (version) => {
  const authority = await ephemeralAuthority(TERMS)
  const [one, other] = ['api.test', 'a.files.test'].map(async (host) => present(await authority.contextFor(host)))
  const session = await sessionOf(await one, version)
  for (const port of [await one, await other]) {
    const again = await handshake(port ?? 0, { session, maxVersion: version })
    expect(again.isSessionReused()).toBe(false)
    expect(again.getProtocol()).toBe(version)
    again.destroy()
  }
})

test('F15: a client that renegotiates is refused', async () => {
  const socket = await handshake(await presentedAt('api.test'), { maxVersion: 'TLSv1.2' })
  const failure = await new Promise<Error | null>((resolve) => {
    socket.once('error', resolve)
    socket.renegotiate({}, resolve)
  })
  expect(failure).toMatchObject({ code: 'ERR_SSL_NO_RENEGOTIATION' })
})

async function presentedAt(host: string): Promise<number> {
  return present(await (await ephemeralAuthority(TERMS)).contextFor(host))
}

/** What a client could resume, at the end of a connection: in TLS 1.3 it comes after the handshake. */
async function sessionOf(port: number | undefined, maxVersion: SecureVersion): Promise<Buffer> {
  const sessions: Buffer[] = []
  const socket = connect({ host: '127.0.0.1', port: port ?? 0, rejectUnauthorized: false, maxVersion })
  socket.on('session', (session) => sessions.push(session))
  socket.write('GET / HTTP/1.1\r\n\r\n')
  await once(socket.resume(), 'close')
  const last = sessions.at(-1)
  if (!last) throw new Error('there is no session to resume')
  return last
}
