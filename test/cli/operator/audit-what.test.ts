import { expect, test } from 'vitest'
import { whatText } from '../../../src/cli/operator/audit-what.ts'

const ASK = { msg: 'ask', method: 'GET', host: 'a.test', path: '/v1' } as const
const TUNNEL = { msg: 'ask', method: 'CONNECT', host: 'a.test' } as const

test.each([
  [{ ...ASK }, 'GET a.test/v1'],
  [{ ...ASK, port: 80 }, 'GET a.test/v1'],
  [{ ...ASK, port: 443 }, 'GET a.test:443/v1'],
  [{ ...ASK, port: 8443, door: 'intercept 127.0.0.1:1' }, 'GET a.test:8443/v1'],
  [{ ...ASK, port: 443, door: 'intercept 127.0.0.1:1' }, 'GET a.test/v1'],
  [{ ...TUNNEL, port: 443 }, 'CONNECT a.test'],
  [{ ...TUNNEL, port: 5432 }, 'CONNECT a.test:5432'],
  [{ msg: 'change', action: 'grant.add' }, 'grant.add'],
  [{ msg: 'start' }, 'start'],
])('%j is shown with the port where that is not the usual one', (done, text) => {
  expect(whatText(done)).toBe(text)
})
