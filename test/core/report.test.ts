import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decide, isPermit } from '../../src/core/decide.ts'
import { type Grant, indexGrants } from '../../src/core/grants.ts'
import { HostTable } from '../../src/core/host-table.ts'
import { decidePassage } from '../../src/core/passage.ts'
import type { Place, Policy } from '../../src/core/policy.ts'
import { compileRule } from '../../src/core/rule.ts'

const UNTIL = Date.UTC(2027, 5, 30)
const caller = { name: 'app', method: 'api-key' }
const RULES = [compileRule({ methods: ['GET'], paths: ['/v1/**'] })]
const HOSTS = ['listed.test', 'off.test', 'bare.test', 'unlisted.test'] as const

interface Wishes {
  readonly mode?: Policy['allowlistMode']
  readonly grants?: readonly Partial<Grant>[]
  readonly disabled?: readonly string[]
}

function policy({ mode = 'report', grants = [{}], disabled = [] }: Wishes = {}): Policy {
  const place = (name: string): Place => ({
    name,
    home: `${name}.test`,
    port: 443,
    basePath: '',
    isPlaintext: false,
    connect: 'tunnel',
  })
  const places = [place('listed'), place('off')]
  return {
    allowlist: new HostTable(['listed.test', 'bare.test'].map((host) => [host, host])),
    allowlistMode: mode,
    places: new HostTable(places.map((one) => [`${one.name}.test`, one])),
    placesByName: new Map(places.map((one) => [one.name, one])),
    grants: indexGrants(
      grants.map((terms, at) => ({
        id: `g${at}`,
        holder: { caller: 'app' },
        connection: 'listed',
        rules: [],
        ...terms,
      })),
    ),
    disabled: new Set(disabled),
  }
}

function ask(host: string, wishes: Wishes = {}, { method = 'GET', path = '/v1/a', at = 0, isSecure = false } = {}) {
  return decide({ caller, target: { kind: 'name', host, port: undefined, isSecure }, method, path, at }, policy(wishes))
}

function connect(host: string, wishes: Wishes = {}, port = 443) {
  return decidePassage({ caller, host, port, at: 0 }, policy(wishes))
}

describe('an allowlist in report mode', () => {
  test('gives no permit for what it lets out, so that no credential can be had for it', () => {
    for (const host of ['unlisted.test', 'off.test', 'bare.test']) {
      const decision = ask(host)
      expect(decision).toMatchObject({ permitted: true, connection: undefined, grant: undefined, host, port: 80 })
      expect(isPermit(decision)).toBe(false)
    }
  })

  test.each([
    ['what was asked for as https', () => ask('unlisted.test', {}, { isSecure: true }), 'host-not-allowed'],
    ['what a switched off connection names', () => ask('off.test', { disabled: ['off'] }), 'host-not-allowed'],
    ['what lacks a grant', () => ask('listed.test', { grants: [] }), 'grant-missing'],
    [
      'a tunnel to what a switched off connection names',
      () => connect('off.test', { disabled: ['off'] }),
      'host-not-allowed',
    ],
    ['a tunnel to another port of a connection', () => connect('listed.test', {}, 22), 'port-not-allowed'],
  ])('enforces %s', (_what, decided, code) => {
    expect(decided()).toMatchObject({ permitted: false, code })
  })

  test('passes a tunnel unopened, and reads plain HTTP at its port', () => {
    const nothing = {
      permitted: true,
      connection: undefined,
      grant: undefined,
      wouldRefuse: { code: 'host-not-allowed' },
    }
    expect(connect('unlisted.test')).toMatchObject({ ...nothing, tls: 'pass', plain: false })
    expect(connect('unlisted.test', {}, 80)).toMatchObject({ ...nothing, tls: 'refuse', plain: true })
  })
})

describe('a grant in report mode', () => {
  test('lets through what no rule matches, and says so', () => {
    const reported = ask('listed.test', { grants: [{ rules: RULES, mode: 'report' }] }, { method: 'POST' })
    expect(reported).toMatchObject({ permitted: true, grant: 'g0', wouldRefuse: { code: 'rule-not-matched' } })
    expect(isPermit(reported)).toBe(true)
  })

  test('is not asked where another grant lets it through', () => {
    const grants = [{ rules: RULES, mode: 'report' as const }, {}]
    expect(ask('listed.test', { grants }, { method: 'POST' })).toMatchObject({ grant: 'g1', wouldRefuse: undefined })
    expect(connect('listed.test', { grants })).toMatchObject({ grant: 'g1', wouldRefuse: undefined })
  })

  test.each([
    ['its end', { grants: [{ rules: RULES, mode: 'report', until: UNTIL }] }, 'grant-expired'],
    [
      'the switch of its connection',
      { grants: [{ rules: RULES, mode: 'report' }], disabled: ['listed'] },
      'connection-disabled',
    ],
  ] as const)('does not outlive %s', (_what, wishes, code) => {
    expect(ask('listed.test', wishes, { method: 'POST', at: UNTIL })).toMatchObject({ permitted: false, code })
  })
})

test('report mode changes no permit and makes none: it only waives what the allowlist refuses', () => {
  const grant = fc.record({
    connection: fc.constantFrom('listed', 'off'),
    rules: fc.constantFrom([], RULES),
    until: fc.constantFrom(undefined, UNTIL),
  })
  const wishes = fc.record({ grants: fc.array(grant, { maxLength: 3 }), disabled: fc.subarray(['listed', 'off']) })
  const question = fc.record({
    method: fc.constantFrom('GET', 'POST'),
    path: fc.constantFrom('/v1/a', '/v2', '/v1/../v2'),
    at: fc.constantFrom(0, UNTIL),
    isSecure: fc.boolean(),
  })
  fc.assert(
    fc.property(wishes, question, fc.constantFrom(...HOSTS), (given, asked, host) => {
      const enforced = ask(host, { ...given, mode: 'enforce' }, asked)
      const reported = ask(host, given, asked)
      expect(isPermit(reported)).toBe(isPermit(enforced))
      if (enforced.permitted) expect(reported).toEqual(enforced)
      else if (reported.permitted) expect(reported.wouldRefuse).toEqual(enforced)
      else expect(reported).toEqual(enforced)
    }),
  )
})
