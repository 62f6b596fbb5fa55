import { expect, test } from 'vitest'
import { covers, javaNonProxyHosts, mergeNoProxy, noProxyEntries } from '../../src/cli/no-proxy.ts'

test.each<[NodeJS.ProcessEnv, string]>([
  [{}, 'localhost,127.0.0.1,::1'],
  [{ NO_PROXY: '.corp.example, 10.0.0.0/8' }, '.corp.example,10.0.0.0/8,localhost,127.0.0.1,::1'],
  [{ no_proxy: 'a.test b.test' }, 'a.test,b.test,localhost,127.0.0.1,::1'],
  [{ NO_PROXY: 'a.test,127.0.0.1', no_proxy: 'b.test,a.test' }, 'a.test,127.0.0.1,b.test,localhost,::1'],
  [{ NO_PROXY: '', no_proxy: ',,' }, 'localhost,127.0.0.1,::1'],
])('%j becomes %s: nothing is dropped, nothing stands twice', (env, merged) => {
  expect(mergeNoProxy(env)).toBe(merged)
})

test('a star stays alone, because in a list it means nothing to curl and Python', () => {
  expect(mergeNoProxy({ NO_PROXY: 'a.test,*' })).toBe('*')
})

test('the entries are those of the user, of both spellings', () => {
  expect(noProxyEntries({ NO_PROXY: 'a.test', no_proxy: ' b.test,c.test ' })).toEqual(['a.test', 'b.test', 'c.test'])
})

test.each([
  ['*', 'api.crm.test', true],
  ['api.crm.test', 'api.crm.test', true],
  ['API.CRM.test.', 'api.crm.test', true],
  ['api.crm.test:443', 'api.crm.test', true],
  ['.crm.test', 'api.crm.test', true],
  ['*.crm.test', 'api.crm.test', true],
  ['crm.test', 'api.crm.test', true],
  ['.api.crm.test', 'api.crm.test', true],
  ['rm.test', 'api.crm.test', false],
  ['api.crm.test.example', 'api.crm.test', false],
  ['10.0.0.0/8', 'api.crm.test', false],
  ['::1', 'api.crm.test', false],
  ['files.test', '*.files.test', true],
  ['a.files.test', '*.files.test', true],
  ['other.test', '*.files.test', false],
])('%s keeps %s from the proxy: %s', (entry, pattern, expected) => {
  expect(covers(entry, pattern)).toBe(expected)
})

test('Java gets what it can express, and nothing that would break its options', () => {
  const list = `a.test,.b.test,*.c.test,10.0.0.1,10.0.0.0/8,d.test:80,::1,"e f'.test,a.test`
  expect(javaNonProxyHosts(list)).toBe('a.test|*.a.test|*.b.test|*.c.test|10.0.0.1|[::1]')
  expect(javaNonProxyHosts('*')).toBe('*')
})
