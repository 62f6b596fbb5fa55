import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { ProblemCode } from '../../src/core/problem.ts'
import { createResolver, type NameResolver } from '../../src/wire/resolve.ts'
import { type DnsAnswer, type DnsStub, startDnsStub } from '../support/dns-stub.ts'
import { timed } from '../support/own-time.ts'

test('answers with both families of a name', async () => {
  const { resolver } = await setUp({ 'api.test': { a: ['203.0.113.7'], aaaa: ['2001:db8::7'] } })
  expect(await resolver.resolve('api.test')).toEqual(['2001:db8::7', '203.0.113.7'])
})

test('is content with one family when the other does not exist', async () => {
  const { resolver } = await setUp({ 'api.test': { a: ['203.0.113.7'] }, 'six.test': { aaaa: ['2001:db8::7'] } })
  expect(await resolver.resolve('api.test')).toEqual(['203.0.113.7'])
  expect(await resolver.resolve('six.test')).toEqual(['2001:db8::7'])
})

test('does not wait for a family that is never answered', async () => {
  const { resolver } = await setUp({ 'api.test': { a: ['203.0.113.7'], silent: ['aaaa'] } }, 60_000)
  const began = performance.now()
  expect(await resolver.resolve('api.test')).toEqual(['203.0.113.7'])
  // Of the minute that it may take.
  expect(performance.now() - began).toBeLessThan(20_000)
})

test.each<[string, DnsAnswer]>([
  ['SERVFAIL', { rcode: 2 }],
  ['NXDOMAIN', { rcode: 3 }],
  ['REFUSED', { rcode: 5 }],
  ['no records', {}],
  ['a compression loop', { raw: compressionLoop }],
])('E10: %s is upstream-unresolved', async (_, answer) => {
  const { resolver } = await setUp({ 'api.test': answer })
  await expectProblem(resolver, 'upstream-unresolved')
})

test('E10: silence is upstream-timeout, at the deadline', async () => {
  const { resolver } = await setUp({ 'api.test': { silent: ['a', 'aaaa'] } }, 200)
  const { tookMs } = await timed(() => expectProblem(resolver, 'upstream-timeout'))
  expect(tookMs).toBeLessThan(2000)
})

test('E10: a flood of 600 addresses is cut to 32', async () => {
  const a = Array.from({ length: 600 }, (_, index) => `203.0.${index >> 8}.${index & 255}`)
  const { resolver } = await setUp({ 'api.test': { a } })
  expect(await resolver.resolve('api.test')).toHaveLength(32)
})

test('E10: an answer of almost 64 KiB is survived', async () => {
  const a = Array.from({ length: 4000 }, () => '203.0.113.7')
  const { resolver, zone } = await setUp({ 'api.test': { a } }, 500)
  await resolver.resolve('api.test').catch(() => undefined)
  zone['api.test'] = { a: ['203.0.113.7'] }
  expect(await resolver.resolve('api.test')).toEqual(['203.0.113.7'])
})

test('simultaneous lookups of a name share one flight, later ones ask anew', async () => {
  const { resolver, stub, zone } = await setUp({ 'api.test': { a: ['203.0.113.7'] } })
  await Promise.all(Array.from({ length: 50 }, () => resolver.resolve('api.test')))
  expect([...stub.asked].sort()).toEqual(['a api.test', 'aaaa api.test'])
  zone['api.test'] = { a: ['203.0.113.8'] }
  expect(await resolver.resolve('api.test')).toEqual(['203.0.113.8'])
})

test('a failed flight is not remembered', async () => {
  const { resolver, zone } = await setUp({})
  await expectProblem(resolver, 'upstream-unresolved')
  zone['api.test'] = { a: ['203.0.113.7'] }
  expect(await resolver.resolve('api.test')).toEqual(['203.0.113.7'])
})

test('pinned names are not asked about, and pin no name below them', async () => {
  const { stub } = await setUp({ 'v1.api.test': { a: ['203.0.113.8'] } })
  const resolver = createResolver({ servers: [stub.address], hosts: { 'api.test': ['203.0.113.7'] } })
  expect(await resolver.resolve('api.test')).toEqual(['203.0.113.7'])
  expect(stub.asked).toEqual([])
  expect(await resolver.resolve('v1.api.test')).toEqual(['203.0.113.8'])
})

test('without servers, exact names of the hosts file are found', async () => {
  const resolver = createResolver({
    hostsFile: hostsFile('203.0.113.7\tAPI.test other.test # api.internal\n2001:db8::7 api.test\n'),
  })
  expect(await resolver.resolve('api.test')).toEqual(['203.0.113.7', '2001:db8::7'])
  expect(await resolver.resolve('other.test')).toEqual(['203.0.113.7'])
})

test('E09: the system is asked for the absolute name, so that no search list applies', async () => {
  const asked: string[] = []
  const system = async (name: string) => {
    asked.push(name)
    return ['203.0.113.7']
  }
  const resolver = createResolver({ hostsFile: hostsFile('127.0.0.1 localhost\n'), system })
  expect(await resolver.resolve('api')).toEqual(['203.0.113.7'])
  expect(asked).toEqual(['api.'])
  expect(await resolver.resolve('localhost')).toEqual(['127.0.0.1'])
  expect(asked).toEqual(['api.'])
})

test('a system resolver that fails, or says nothing, is told apart', async () => {
  const failing = createResolver({
    hostsFile: hostsFile(''),
    system: () => Promise.reject(Object.assign(new Error('no such name'), { code: 'ENOTFOUND' })),
  })
  await expectProblem(failing, 'upstream-unresolved')
  const hanging = createResolver({ hostsFile: '/nowhere', timeoutMs: 50, system: () => new Promise(() => {}) })
  await expectProblem(hanging, 'upstream-timeout')
})

test('the system itself resolves what it can', async () => {
  const resolver = createResolver({ hostsFile: '/etc/hosts' })
  expect(await resolver.resolve('localhost')).toContain('127.0.0.1')
})

test('refuses at once a server that is no address', () => {
  expect(() => createResolver({ servers: ['dns.test'] })).toThrow(/Invalid IP address/)
})

interface Rig {
  readonly resolver: NameResolver
  readonly stub: DnsStub
  readonly zone: Record<string, DnsAnswer>
}

async function setUp(zone: Record<string, DnsAnswer>, timeoutMs = 4000): Promise<Rig> {
  const stub = await startDnsStub(zone)
  onTestFinished(() => stub.close())
  return { stub, zone, resolver: createResolver({ servers: [stub.address], timeoutMs }) }
}

async function expectProblem(resolver: NameResolver, code: ProblemCode): Promise<void> {
  await expect(resolver.resolve('api.test')).rejects.toMatchObject({ name: 'Problem', code })
}

function hostsFile(text: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'hosts-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  writeFileSync(join(directory, 'hosts'), text)
  return join(directory, 'hosts')
}

/** An answer whose name is a pointer to itself. */
function compressionLoop(query: Buffer): Buffer {
  const message = Buffer.concat([query.subarray(0, 12), Buffer.from([0xc0, 0x0c, 0, 1, 0, 1])])
  message.writeUInt16BE(0x8180, 2)
  message.writeUInt16BE(1, 4)
  message.writeUInt32BE(0, 6)
  message.writeUInt16BE(0, 10)
  return message
}
