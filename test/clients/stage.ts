import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { makeAuthority } from '../support/certificates.ts'
import { privateDirectory, type Running, remove, startSallyport, writeSecret } from '../support/sallyport.ts'
import type { Client, Ended } from './client.ts'
import { hostOf, SERVICE_NAMES, type ServiceName, startUpstream, type Upstream } from './upstream.ts'

/** What only a request with the credential is told. */
const WORDS = `told-${randomBytes(8).toString('hex')}`
/** What Sallyport injects, and no client may hold. */
const CREDENTIAL = `credential-${randomBytes(16).toString('hex')}`
/** What clients show to Sallyport, and no upstream may see. */
export const KEY = `caller-${randomBytes(16).toString('hex')}`

/** As each kind of service usually wants it. */
const INJECTIONS: Readonly<Record<ServiceName, 'bearer' | 'basic'>> = {
  api: 'bearer',
  apt: 'basic',
  git: 'basic',
  npm: 'bearer',
  pip: 'basic',
}

/** A sidecar, the upstreams behind it, and a place for clients. */
export interface Stage {
  readonly running: Running
  readonly upstream: Upstream
  /** Lets a client do its errand in a new home, with the environment that it is given there. */
  perform(client: Client, url: string, environmentOf: (home: string) => Record<string, string>): Promise<Ended>
  close(): Promise<void>
}

/** Starts all of it. `settings`: the doors, and what else they need. */
export async function startStage(settings: object): Promise<Stage> {
  const directory = privateDirectory()
  const authority = await makeAuthority()
  const services = join(directory, 'services')
  mkdirSync(services)
  const upstream = await startUpstream({ authority, directory: services, words: WORDS, authorizationOf })
  for (const [name, text] of Object.entries({ credential: CREDENTIAL, app: KEY, 'ca.pem': authority.certPem }))
    writeSecret(directory, name, text)
  const running = await startSallyport(directory, settingsFor(upstream.port, settings))
  return {
    running,
    upstream,
    perform({ run }, url, environmentOf) {
      const cwd = mkdtempSync(join(directory, 'home-'))
      upstream.take()
      return run({ url, cwd, env: environmentOf(cwd) })
    },
    async close() {
      await running.stop('SIGKILL')
      await upstream.close()
      remove(directory)
    },
  }
}

function settingsFor(port: number, settings: object): object {
  const hosts = SERVICE_NAMES.map(hostOf)
  const connectionTo = (name: ServiceName) => ({
    hosts: [hostOf(name)],
    port,
    tls: { ca: { file: 'ca.pem' } },
    allowPrivate: ['127.0.0.0/8'],
    credential: { kind: 'static', secret: { file: 'credential' } },
    inject: { kind: INJECTIONS[name] },
  })
  return {
    allowlist: hosts,
    callers: { app: { kind: 'api-key', key: { file: 'app' } } },
    connections: Object.fromEntries(SERVICE_NAMES.map((name) => [name, connectionTo(name)])),
    grants: SERVICE_NAMES.map((name) => ({ caller: 'app', connection: name })),
    dns: { hosts: Object.fromEntries(hosts.map((host) => [host, ['127.0.0.1']])) },
    ...settings,
  }
}

function authorizationOf(service: ServiceName): string {
  if (INJECTIONS[service] === 'bearer') return `Bearer ${CREDENTIAL}`
  return `Basic ${Buffer.from(`:${CREDENTIAL}`).toString('base64')}`
}

/** That it got what it wanted, by our credential alone, and that nothing of its own key came along. */
export function expectDone({ service, asks }: Client, ended: Ended, upstream: Upstream): void {
  expect(ended, ended.stderr).toMatchObject({ code: 0, stdout: expect.stringContaining(WORDS) })
  expect(ended.stdout + ended.stderr).not.toContain(CREDENTIAL)
  const seen = upstream.take()
  expect(seen.map(({ line }) => line)).toEqual(expect.arrayContaining([...asks]))
  for (const { host, line, rawHeaders } of seen) {
    expect(host).toBe(hostOf(service))
    expect(valuesOf('authorization', rawHeaders)).toEqual([authorizationOf(service)])
    expect(valuesOf('proxy-authorization', rawHeaders)).toEqual([])
    expect(JSON.stringify([line, rawHeaders]), line).not.toMatch(SHOWN_KEY)
  }
}

/** That it gave up by itself, and that the upstream saw nothing. */
export function expectRefused(ended: Ended, upstream: Upstream): void {
  expect(ended.code, ended.stderr).toBeGreaterThan(0)
  expect(ended.stdout).not.toContain(WORDS)
  expect(upstream.take()).toEqual([])
}

/** The key in the forms that clients show it in: as it is, and in Basic after `app:` or `client:`. */
const SHOWN_KEY = new RegExp(
  [KEY, ...['app', 'client'].map((user) => Buffer.from(`${user}:${KEY}`).toString('base64').replace(/=+$/, ''))].join(
    '|',
  ),
)

function valuesOf(name: string, rawHeaders: readonly string[]): readonly string[] {
  return rawHeaders.filter((_, at) => at % 2 === 1 && rawHeaders[at - 1]?.toLowerCase() === name)
}
