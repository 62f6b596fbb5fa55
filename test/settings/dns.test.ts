import { expect, test } from 'vitest'
import { settingsSchema } from '../../src/settings/schema.ts'

function faults(dns: object): string[] {
  const parsed = settingsSchema.safeParse({ listeners: [{ kind: 'forward', listen: '127.0.0.1:0' }], dns })
  return (parsed.error?.issues ?? []).map(({ path, message }) => `${path.join('.')}: ${message}`)
}

test.each(['10.0.0.2', '10.0.0.2:5353', 'fd00::2', '[fd00::2]:53'])('the resolver %s is taken', (server) => {
  expect(faults({ servers: [server] })).toEqual([])
})

test.each(['nonsense', '10.0.0.2:99999', 'fd00::2:x', '10.0.0', 'dns.example.com'])(
  'the resolver %s is refused',
  (server) => {
    expect(faults({ servers: [server] })).toEqual([
      'dns.servers.0: use the address of a resolver, as in "10.0.0.2" or "10.0.0.2:5353"',
    ])
  },
)

test('a name is pinned to addresses, by its one spelling', () => {
  expect(faults({ hosts: { 'api.test': ['10.0.0.7', 'fd00::7'] } })).toEqual([])
  expect(faults({ hosts: { 'api.test': ['1.2.3.4.5', 'localhost'] } })).toHaveLength(2)
  expect(faults({ hosts: { 'API.test': ['10.0.0.7'] } })).toHaveLength(1)
})
