import { expect, test } from 'vitest'
import { problems } from '../../src/core/problems.ts'
import { tellWhy } from '../../src/gate/why.ts'
import { compilePolicy } from '../../src/settings/policy.ts'
import { settingsSchema } from '../../src/settings/schema.ts'

const settings = settingsSchema.parse({
  listeners: [{ kind: 'forward', listen: '127.0.0.1:0' }],
  allowlist: { hosts: ['crm.test', 'off.test', 'maps.test'], mode: 'report' },
  connections: {
    crm: { hosts: ['crm.test'], credential: { kind: 'none' }, connect: 'tunnel' },
    off: { hosts: ['off.test'], credential: { kind: 'none' }, disabled: true },
    maps: { hosts: ['maps.test'], credential: { kind: 'none' } },
  },
  grants: [
    { group: 'west', connection: 'crm' },
    { caller: 'app', connection: 'off' },
    { caller: 'app', connection: 'maps', rules: [{ methods: ['GET'] }], mode: 'report' },
  ],
})
const policy = compilePolicy(settings)

function ask(url: string, { method = 'GET', groups = ['west'] } = {}) {
  return tellWhy({ caller: { name: 'app', method: 'jwt', groups }, method, url, at: 0 }, policy)
}

test.each([
  ['the grant of a group', 'http://crm.test/', {}, { decision: 'permit', grant: 'grants[0]', connection: 'crm' }],
  ['no group', 'http://crm.test/', { groups: [] }, { decision: 'refuse', code: 'grant-missing' }],
  ['a tunnel', 'https://crm.test/', { method: 'CONNECT' }, { decision: 'permit', grant: 'grants[0]' }],
  ['a tunnel to another port', 'http://crm.test:22/', { method: 'CONNECT' }, { code: 'port-not-allowed' }],
  ['a switched off connection', 'http://off.test/', {}, { decision: 'refuse', code: 'connection-disabled' }],
  ['report mode of the allowlist', 'http://other.test/', {}, { decision: 'permit', wouldRefuse: 'host-not-allowed' }],
  [
    'report mode of a grant',
    'http://maps.test/',
    { method: 'POST' },
    { decision: 'permit', wouldRefuse: 'rule-not-matched', grant: 'grants[2]' },
  ],
  ['https in report mode', 'https://other.test/', {}, { decision: 'permit', tunnel: 'unopened' }],
])('tells of %s', (_what, url, options, told) => {
  expect(ask(url, options)).toMatchObject(told)
})

test('says what to do, also about what report mode let by', () => {
  expect(ask('http://other.test/')?.remedy).toBe(problems['host-not-allowed'].remedy)
  expect(ask('http://crm.test/')?.remedy).toBeUndefined()
})

test.each(['crm.test', 'ftp://crm.test/', ''])('takes no %j for a URL', (url) => {
  expect(ask(url)).toBeUndefined()
})
