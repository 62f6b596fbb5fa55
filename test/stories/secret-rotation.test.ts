import { renameSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type QuirkIssuer, startQuirkIssuer, tokenAnswer } from '../support/quirk-issuer.ts'
import { sendRaw } from '../support/raw-client.ts'
import { eventually, type Running, remove, startSallyport, writeSecret } from '../support/sallyport.ts'
import { OK, type RawUpstream, startUpstream } from '../support/upstream.ts'
import { authority, connectionTo, crmDirectory, crmSettings, doorOf, PROOF } from './crm.ts'

const OLD = 'CANARY-of-the-old-secret'
const NEW = 'CANARY-of-the-new-secret'

let known = [OLD]
let upstream: RawUpstream
let issuer: QuirkIssuer
let directory: string
let sallyport: Running

beforeAll(async () => {
  upstream = await startUpstream(() => OK, await authority.issue(['api.crm.test']))
  issuer = await startQuirkIssuer(await authority.issue(['login.test']))
  // Tokens are so short-lived that each is soon followed by another.
  issuer.answer(({ body }) =>
    known.includes(new URLSearchParams(body).get('client_secret') ?? '')
      ? tokenAnswer({ access_token: `at-${issuer.requests.length}`, expires_in: 2 })
      : { status: 401, body: { error: 'invalid_client' } },
  )
  directory = crmDirectory()
  writeSecret(directory, 'current', OLD)
  const credential = {
    kind: 'client-credentials',
    tokenEndpoint: `https://login.test:${issuer.port}/token`,
    clientId: 'crm',
    clientSecret: { current: { file: 'current' }, next: { file: 'next' } },
    clientAuth: 'body',
    tls: { ca: { file: 'ca.pem' } },
    allowPrivate: ['127.0.0.0/8'],
  }
  sallyport = await startSallyport(
    directory,
    crmSettings({
      port: upstream.port,
      settings: {
        listeners: [{ kind: 'forward', listen: '127.0.0.1:0' }],
        connections: { crm: connectionTo('api.crm.test', upstream.port, { credential }) },
        dns: { hosts: { 'api.crm.test': ['127.0.0.1'], 'login.test': ['127.0.0.1'] } },
      },
    }),
  )
})

afterAll(async () => {
  await sallyport?.stop('SIGKILL')
  if (directory) remove(directory)
  await upstream?.close()
  await issuer?.stop()
})

async function ask(): Promise<number> {
  const head = `GET http://api.crm.test/ HTTP/1.1\r\nHost: api.crm.test\r\n${PROOF}\r\n`
  return (await sendRaw(doorOf(sallyport, 'forward'), head, { until: /ok$|\}\n$/ })).status
}

/** Asks on and on until a token was had with this secret. */
async function untilShown(secret: string, statuses: number[]): Promise<void> {
  const since = issuer.requests.length
  await eventually(async () => {
    statuses.push(await ask())
    return issuer.requests.slice(since).some(({ body }) => body.includes(secret)) || undefined
  }, 'the secret')
}

function replace(name: string, text: string): void {
  writeSecret(directory, `${name}.new`, text)
  renameSync(join(directory, `${name}.new`), join(directory, name))
}

test('a secret is rotated under load: no restart, not one request that fails, and a line that says what is unused', async () => {
  const statuses: number[] = []
  await untilShown(OLD, statuses)
  replace('next', NEW)
  known = [OLD, NEW]
  // For longer than a change of a file takes to be noticed, also on a busy machine, everything goes on as before.
  const noticed = performance.now() + 6_000
  while (performance.now() < noticed) await untilShown(OLD, statuses)
  known = [NEW]
  await untilShown(NEW, statuses)
  replace('current', NEW)
  await untilShown(NEW, statuses)
  expect(new Set(statuses)).toEqual(new Set([200]))
  await eventually(() => /file:current.*the old one is unused/.exec(sallyport.output()) ?? undefined, 'the line')
  expect(sallyport.output()).not.toContain('CANARY')
})
