import { expect, test } from 'vitest'
import { isConstrainedTo } from '../../src/ca/name-constraints.ts'
import { foundRoot } from '../../src/ca/root.ts'
import { makeAuthority } from '../support/certificates.ts'

const MADE_FOR = ['api.test', '*.files.test', '10.0.0.7', '[fd00::7]']

test.each([
  [['api.test']],
  [['a.api.test']],
  [['*.api.test']],
  [['files.test', 'a.b.files.test', '*.b.files.test', '*.files.test']],
  [['10.0.0.7', '[fd00:0:0::7]', 'fd00::7']],
  [MADE_FOR],
  [[]],
])('an authority covers what it was made for, and what lies below: %j', async (hosts) => {
  expect(await isConstrainedTo(hosts, await madeFor(MADE_FOR))).toBe(true)
})

test.each([[['test']], [['*.test']], [['xapi.test']], [['api.test', 'other.test']], [['10.0.0.8']], [['[fd00::8]']]])(
  'it covers nothing beside or above: %j',
  async (hosts) => {
    expect(await isConstrainedTo(hosts, await madeFor(MADE_FOR))).toBe(false)
  },
)

test('an authority made for nothing covers nothing', async () => {
  expect(await isConstrainedTo(['api.test'], await madeFor([]))).toBe(false)
})

test('an authority without constraints is not ours, and covers nothing', async () => {
  expect(await isConstrainedTo(['api.test'], (await makeAuthority()).certPem)).toBe(false)
})

test('covers hundreds of hosts', async () => {
  const hosts = Array.from({ length: 600 }, (_, n) => `host-number-${n}.example.test`)
  expect(await isConstrainedTo(hosts, await madeFor(hosts))).toBe(true)
  expect(await isConstrainedTo([...hosts, 'one-more.example.test'], await madeFor(hosts))).toBe(false)
})

async function madeFor(hosts: readonly string[]): Promise<string> {
  return (await foundRoot({ hosts, now: Date.now })).cert
}
