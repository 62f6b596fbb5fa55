import { expect, test } from 'vitest'
import { DOOR, faultsOf } from '../support/settings-file.ts'

const DIGEST = `sha256:${'a'.repeat(64)}`

test.each([
  [
    'a role that there is not',
    'listen: 127.0.0.1:0',
    `ann: { role: root, proof: { kind: api-key, digest: "${DIGEST}" } }`,
    /operators\.ann\.role: use one of viewer, granter, admin/,
  ],
  ['no proof', 'listen: 127.0.0.1:0', 'ann: { role: admin }', /operators\.ann\.proof/],
  [
    'two with one key',
    'listen: 127.0.0.1:0',
    `ann: { role: admin, proof: { kind: api-key, digest: "${DIGEST}" } }, bob: { role: viewer, proof: { kind: api-key, digest: "${DIGEST}" } }`,
    /operators\.bob\.proof: use a key of its own: ann has the same/,
  ],
  [
    'a peer on TCP',
    'listen: 127.0.0.1:0',
    'ann: { role: admin, proof: { kind: unix-peer, uid: 7 } }',
    /operators\.ann\.proof\.kind: use another kind, or have admin\.listen be a unix: socket/,
  ],
  [
    'the socket itself',
    'listen: "unix:a.sock"',
    'ann: { role: admin, proof: { kind: socket } }',
    /operators\.ann\.proof\.kind: use another kind/,
  ],
  [
    'a certificate, at a door without TLS',
    'listen: 127.0.0.1:0',
    'ann: { role: admin, proof: { kind: mtls, dns: ann.test } }',
    /operators\.ann\.proof\.kind: use another kind: the admin door has no TLS/,
  ],
  [
    'a key in the file',
    'listen: 127.0.0.1:0',
    'ann: { role: admin, proof: { kind: api-key, key: hunter2 } }',
    /operators\.ann\.proof\.key/,
  ],
])('an operator with %s is told to be wrong, with its place', async (_what, listen, operators, told) => {
  const [line = '', ...more] = await faultsOf(`${DOOR}admin: { ${listen}, operators: { ${operators} } }\n`)
  expect(line).toMatch(/^s\.yaml:3:\d+ admin\./)
  expect(line).toMatch(told)
  expect(line).not.toContain('hunter2')
  expect(more).toEqual([])
})

test('an operator that fits the door is right', async () => {
  const operators = `ann: { role: admin, proof: { kind: api-key, digest: "${DIGEST}" } }, root: { role: viewer, proof: { kind: unix-peer, uid: 0 } }`
  expect(
    await faultsOf(`${DOOR}admin: { listen: "unix:a.sock", mode: "0660", operators: { ${operators} } }\n`),
  ).toEqual([])
})
