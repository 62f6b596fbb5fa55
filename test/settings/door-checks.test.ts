import { expect, test } from 'vitest'
import { loadSettings } from '../../src/settings/load.ts'
import { faultsOf, settingsFile } from '../support/settings-file.ts'

const CALLERS = 'callers: { app: { kind: socket }, other: { kind: unix-peer, uid: 7 } }\n'

function door(listen: string, more = ', caller: app'): string {
  return `listeners:\n  - { kind: transparent, listen: "${listen}"${more} }\n${CALLERS}`
}

test('a transparent door names its caller without a word of "unsafe": whom the redirect rules send there', async () => {
  expect(await faultsOf(door('127.0.0.1:15002'))).toEqual([])
  expect(await faultsOf(door('[::1]:15002'))).toEqual([])
})

test.each([
  [door('127.0.0.1:15002', ''), /listeners\[0\]\.caller: missing/],
  [door('127.0.0.1:15002', ', caller: other'), /listeners\[0\]\.caller: use the name of a caller of kind socket: app/],
  [door('unix:door.sock'), /listeners\[0\]\.listen: use an address such as "127\.0\.0\.1:15002"/],
  [door('0.0.0.0:15002'), /listeners\[0\]\.listen: use a loopback address/],
  [door('127.0.0.1:15002', ', caller: app, tls: {}'), /listeners\[0\]\.tls: unknown key/],
  [door('127.0.0.1:15002', ', caller: app, maxSockets: 1'), /listeners\[0\]\.maxSockets: /],
])('refuses %j', async (text, says) => {
  expect((await faultsOf(text)).join('\n')).toMatch(says)
})

test('a transparent door that can do nothing with TLS is warned of', async () => {
  const warned = async (more: string) =>
    (await loadSettings(await settingsFile(door('127.0.0.1:15002') + more))).warnings
  const said = expect.stringMatching(/listeners\[0\]: will refuse all TLS: add "ca"/)
  expect(await warned('')).toContainEqual(said)
  expect(await warned('ca: ephemeral\n')).not.toContainEqual(said)
  const tunnel = 'connections: { crm: { hosts: [ a.test ], credential: { kind: none }, connect: tunnel } }\n'
  expect(await warned(tunnel)).not.toContainEqual(said)
})
