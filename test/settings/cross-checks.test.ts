import { describe, expect, test } from 'vitest'
import { crossWarnings } from '../../src/settings/cross-checks.ts'
import { loadSettings } from '../../src/settings/load.ts'
import { DOOR, faultsOf, settingsFile } from '../support/settings-file.ts'

const NONE = 'credential: { kind: none }'

describe('a listener', () => {
  test('names a caller of kind socket', async () => {
    const doors = (caller: string) => `listeners:\n  - { kind: forward, listen: unix:a.sock, caller: ${caller} }\n`
    const callers = 'callers: { app: { kind: unix-peer, uid: 7 } }\n'
    const none = ['s.yaml:2:51 listeners[0].caller: there is no caller of kind socket yet: add one to "callers"']
    expect(await faultsOf(doors('app') + callers)).toEqual(none)
    expect(await faultsOf(doors('constructor'))).toEqual(none)
    const both = `${doors('other')}  - { kind: forward, listen: unix:b.sock, caller: app }\ncallers: { app: { kind: socket } }\n`
    expect(await faultsOf(both)).toEqual([
      's.yaml:2:51 listeners[0].caller: use the name of a caller of kind socket: app',
    ])
  })

  test('names a caller at a TCP address only where that is called unsafe', async () => {
    const doors = 'listeners:\n  - { kind: forward, listen: 127.0.0.1:0, caller: app }\n'
    expect(await faultsOf(`${doors}callers: { app: { kind: socket } }\n`)).toEqual([
      's.yaml:2:51 listeners[0].caller: use a unix: socket, whose permissions say who may connect; or, knowing that every local process becomes this caller, set unsafeAnyLocalProcess: true there',
    ])
    expect(await faultsOf(`${doors}callers: { app: { kind: socket, unsafeAnyLocalProcess: true } }\n`)).toEqual([])
  })

  test('names connections that there are', async () => {
    const doors = `listeners:
  - { kind: reverse, listen: unix:a.sock, connection: cmr }
  - { kind: reverse, listen: unix:b.sock, connections: [ crm, erp ] }
`
    expect(await faultsOf(`${doors}connections: { crm: { hosts: [ a.test ], ${NONE} } }\n`)).toEqual([
      's.yaml:2:55 listeners[0].connection: did you mean "crm"? use the name of a connection: crm',
      's.yaml:3:63 listeners[1].connections[1]: use the name of a connection: crm',
    ])
    expect(await faultsOf('listeners: [ { kind: reverse, listen: unix:a.sock, connection: crm } ]\n')).toEqual([
      's.yaml:1:64 listeners[0].connection: there is no connection yet: add one to "connections"',
    ])
  })

  test('does not take connection and connections both', async () => {
    const door = '{ kind: reverse, listen: unix:a.sock, connection: crm, connections: [ crm ] }'
    expect(await faultsOf(`listeners:\n  - ${door}\n`)).toEqual([
      's.yaml:2:5 listeners[0]: use connection or connections, not both',
    ])
  })

  test('has a host to dial behind it when it is a reverse door', async () => {
    const doors = 'listeners:\n  - { kind: reverse, listen: unix:a.sock, connection: crm }\n'
    expect(await faultsOf(`${doors}connections: { crm: { hosts: [ "*.a.test" ], ${NONE} } }\n`)).toEqual([
      's.yaml:2:55 listeners[0].connection: give crm an exact host: a reverse door dials the first one, and a wildcard is none',
    ])
  })

  test('has an address of its own', async () => {
    const text = `listeners:
  - { kind: forward, listen: 127.0.0.1:15001 }
  - { kind: forward, listen: 127.0.0.1:15001 }
  - { kind: forward, listen: 127.0.0.1:0 }
  - { kind: forward, listen: 127.0.0.1:0 }
admin: { listen: 127.0.0.1:15001 }
`
    const message = 'use an address of its own: another door listens there'
    expect(await faultsOf(text)).toEqual([
      `s.yaml:3:30 listeners[1].listen: ${message}`,
      `s.yaml:6:18 admin.listen: ${message}`,
    ])
  })
})

describe('a caller', () => {
  test('of kind socket is named at a door', async () => {
    expect(await faultsOf(`${DOOR}callers:\n  app: { kind: socket }\n`)).toEqual([
      's.yaml:4:8 callers.app: name it at a door, as in "caller: app" of a listener: the door is its proof',
    ])
  })

  test('of kind unix-peer has ids of its own', async () => {
    const text = `listeners: [ { kind: forward, listen: unix:a.sock } ]
callers:
  one: { kind: unix-peer, uid: 7 }
  two: { kind: unix-peer, uid: 7 }
  three: { kind: unix-peer, uid: 7, gid: 8 }
`
    expect(await faultsOf(text)).toEqual([
      's.yaml:4:8 callers.two: use another uid or gid: one has the same, and a process can be only one caller',
    ])
  })
})

describe('a connection', () => {
  test('K11: shares no host with another, so that never two credentials fit', async () => {
    const text = `${DOOR}allowlist: [ a.test, b.test, "*.a.test" ]
connections:
  crm: { hosts: [ a.test, "*.a.test" ], ${NONE} }
  erp: { hosts: [ b.test, "*.a.test" ], ${NONE} }
`
    expect(await faultsOf(text)).toEqual([
      's.yaml:6:27 connections.erp.hosts[1]: use a host that no other connection names: crm has "*.a.test" already, and one host means one connection',
    ])
  })

  test('K11: may have a host within the wildcard of another, which is the less specific', async () => {
    const text = `${DOOR}allowlist: [ "*.a.test" ]
connections:
  wide: { hosts: [ "*.a.test" ], ${NONE} }
  exact: { hosts: [ x.a.test ], ${NONE} }
  deeper: { hosts: [ "*.b.a.test" ], ${NONE} }
`
    expect(await faultsOf(text)).toEqual([])
  })

  test('names each of its hosts once', async () => {
    expect(await faultsOf(`${DOOR}connections: { crm: { hosts: [ a.test, a.test ], ${NONE} } }\n`)).toEqual([
      's.yaml:3:40 connections.crm.hosts[1]: name each host once',
    ])
  })

  test('without a credential has nothing to inject', async () => {
    const text = `${DOOR}connections: { crm: { hosts: [ a.test ], ${NONE}, inject: { kind: bearer } } }\n`
    expect(await faultsOf(text)).toEqual([
      's.yaml:3:78 connections.crm.inject: leave it out: with credential kind none there is nothing to inject',
    ])
  })
})

test('a grant names a caller and a connection that there are', async () => {
  const text = `${DOOR}callers: { app: { kind: api-key, key: { env: X } } }\ngrants: [ { caller: ap, connection: crm } ]\n`
  expect(await faultsOf(text)).toEqual([
    's.yaml:4:21 grants[0].caller: use the name of a caller: app',
    's.yaml:4:37 grants[0].connection: there is no connection yet: add one to "connections"',
  ])
})

test('all that contradicts itself is told at once, in the order of the file', async () => {
  const text = `grants: [ { caller: a, connection: b } ]
connections: { crm: { hosts: [ a.test, a.test ], ${NONE} } }
callers: { app: { kind: socket } }
${DOOR}`
  const lines = await faultsOf(text)
  expect(lines.map((line) => line.split(': ')[0])).toEqual([
    's.yaml:1:21 grants[0].caller',
    's.yaml:1:36 grants[0].connection',
    's.yaml:2:40 connections.crm.hosts[1]',
    's.yaml:3:17 callers.app',
  ])
})

describe('a warning', () => {
  async function warningsOf(text: string): Promise<readonly string[]> {
    const { warnings } = await loadSettings(await settingsFile(text))
    return warnings.map((line) => line.slice(line.indexOf('s.yaml')))
  }

  test('is given for a host that the allowlist does not have', async () => {
    const text = `${DOOR}allowlist: [ a.test, "*.c.test", x.d.test ]
connections:
  crm: { hosts: [ a.test, b.test, "*.c.test", y.c.test, "*.d.test", "*.e.test" ], ${NONE} }
`
    expect(await warningsOf(text)).toEqual([
      's.yaml:5:27 connections.crm.hosts[1]: is not on the allowlist, so it is refused',
      's.yaml:5:69 connections.crm.hosts[5]: is not on the allowlist, so it is refused',
    ])
  })

  test('is given for a caller that only a socket could prove where there is none', async () => {
    expect(await warningsOf(`${DOOR}callers: { app: { kind: unix-peer, uid: 7 } }\n`)).toEqual([
      's.yaml:3:17 callers.app: can never be proved: no listener is a unix: socket',
    ])
  })

  test('is given for a grant from the very millisecond it has ended', async () => {
    const until = Date.UTC(2027, 5, 30)
    const grant = '{ caller: app, connection: crm, until: 2027-06-30T00:00:00Z }'
    const file = await settingsFile(
      `${DOOR}callers: { app: { kind: api-key, key: { env: X } } }\nallowlist: [ a.test ]
connections: { crm: { hosts: [ a.test ], ${NONE} } }\ngrants: [ ${grant} ]\n`,
    )
    const { settings } = await loadSettings(file)
    expect(crossWarnings(settings, until - 1)).toEqual([])
    expect(crossWarnings(settings, until)).toEqual([
      { path: ['grants', 0, 'until'], message: 'has passed, so this grant lets nobody through' },
    ])
  })
})

describe('report mode', () => {
  const grant = (more: string) =>
    `${DOOR}callers: { app: { kind: api-key, key: { env: K } } }\ngrants:\n  - { caller: app, connection: crm, ${more} }\n`
  const crm = (credential: string) => `connections: { crm: { hosts: [ a.test ], ${credential} } }\n`
  const rules = 'rules: [ { methods: [ GET ] } ]'

  test('is never for a connection that injects', async () => {
    const secret = 'credential: { kind: static, secret: { env: K } }'
    const [fault = ''] = await faultsOf(grant(`${rules}, mode: report`) + crm(secret))
    expect(fault).toMatch(/ grants\[0\]\.mode: use enforce: crm injects a credential, and report mode is never for/)
    expect(await faultsOf(grant(`${rules}, mode: report`) + crm(NONE))).toEqual([])
  })

  test('lets CONNECT through to a connection that tunnels, where rules alone would have it refused', async () => {
    const tunnel = `allowlist: [ a.test ]\nconnections: { crm: { hosts: [ a.test ], connect: tunnel, ${NONE} } }\n`
    const warnedOf = async (more: string) => (await loadSettings(await settingsFile(grant(more) + tunnel))).warnings
    expect(await warnedOf(rules)).toEqual([expect.stringContaining('grants[0].rules: cannot be judged')])
    expect(await warnedOf(`${rules}, mode: report`)).toEqual([])
  })

  test('means nothing without rules', async () => {
    const [fault = ''] = await faultsOf(grant('mode: report') + crm(NONE))
    expect(fault).toMatch(/ grants\[0\]\.mode: leave it out, or add rules: without rules nothing is refused$/)
  })

  test('of the allowlist has a form of its own, with the hosts in it', async () => {
    expect(await faultsOf(`${DOOR}allowlist: { hosts: [ a.test ], mode: report }\n`)).toEqual([])
    expect(await faultsOf(`${DOOR}allowlist: { mode: report }\n`)).toEqual([])
    const [fault = ''] = await faultsOf(`${DOOR}allowlist: report\n`)
    expect(fault).toContain('allowlist: use a list of hosts, or { hosts: [...], mode: report }')
  })
})

describe('a credential that is bound to a key', () => {
  const connection = (credential: string, inject = '') => `listeners: [ { kind: forward, listen: unix:a.sock } ]
connections:
  crm:
    hosts: [ a.test ]
    credential: ${credential}
${inject}`
  const minted = (more = '') =>
    `{ kind: client-credentials, tokenEndpoint: "https://login.test/token", clientId: a, clientAuth: none${more} }`

  test('goes out with its proofs, and nothing else does', async () => {
    expect(await faultsOf(connection(minted(', dpop: true'), '    inject: { kind: dpop }\n'))).toEqual([])
    expect(await faultsOf(connection(minted(', dpop: { alg: ES384 }'), '    inject: { kind: bearer }\n'))).toEqual([
      's.yaml:6:13 connections.crm.inject: use { kind: dpop }: a token of a source with dpop is worth nothing without its proofs',
    ])
    expect(await faultsOf(connection(minted(', dpop: true')))).toEqual([
      's.yaml:4:5 connections.crm.inject: use { kind: dpop }: a token of a source with dpop is worth nothing without its proofs',
    ])
    const unbound = [
      's.yaml:6:13 connections.crm.inject: add "dpop: true" to the credential: there is no key yet that could make proofs',
    ]
    expect(await faultsOf(connection(minted(), '    inject: { kind: dpop }\n'))).toEqual(unbound)
    expect(await faultsOf(connection('{ kind: static, secret: { file: x } }', '    inject: { kind: dpop }\n'))).toEqual(
      unbound,
    )
  })
})

test('responses are scrubbed where there is something to keep out, and somebody who looks', async () => {
  const connection = (more: string) => `listeners: [ { kind: forward, listen: unix:a.sock } ]
connections:
  crm:
    hosts: [ a.test ]
    scrubResponses: true
${more}`
  expect(await faultsOf(connection(`    ${NONE}\n`))).toEqual([
    's.yaml:5:21 connections.crm.scrubResponses: leave it out: with credential kind none there is nothing to keep out',
  ])
  const held = '    credential: { kind: static, secret: { file: x } }\n'
  expect(await faultsOf(connection(held))).toEqual([])
  expect(await faultsOf(connection(`${held}    websocket: true\n`))).toEqual([
    's.yaml:5:21 connections.crm.scrubResponses: leave it out, or "websocket: true": nobody looks into the frames of a WebSocket',
  ])
})

test('a handshake has no body for a placeholder', async () => {
  const connection = (place: string) => `listeners: [ { kind: forward, listen: unix:a.sock } ]
connections:
  crm:
    hosts: [ a.test ]
    websocket: true
    credential: { kind: static, secret: { file: x } }
    inject: { kind: placeholder, placeholder: held-by-sallyport, in: { ${place} } }
`
  expect(await faultsOf(connection('header: X-Key'))).toEqual([])
  for (const place of ['json: /key', 'form: key']) {
    expect(await faultsOf(connection(place))).toEqual([
      's.yaml:5:16 connections.crm.websocket: leave it out: a handshake has no body that could hold the placeholder',
    ])
  }
})
