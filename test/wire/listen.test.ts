import { expect, test } from 'vitest'
import { bind, parseListen } from '../../src/wire/listen.ts'
import { expectRefusal, newServer } from './doors.ts'

test.each([
  ['127.0.0.1:0', { kind: 'tcp', host: '127.0.0.1', port: 0 }],
  ['127.8.9.10:65535', { kind: 'tcp', host: '127.8.9.10', port: 65535 }],
  ['[::1]:8080', { kind: 'tcp', host: '::1', port: 8080 }],
  ['unix:/run/x.sock', { kind: 'unix', path: '/run/x.sock' }],
  ['unix:sockets/x', { kind: 'unix', path: 'sockets/x' }],
])('reads %s', (text, where) => {
  expect(parseListen(text)).toEqual(where)
})

test.each([
  '8080',
  ':8080',
  '127.0.0.1',
  '127.0.0.1:',
  '127.0.0.1:65536',
  '127.0.0.1:080',
  '127.0.0.1:-1',
  '127.1:80',
  'localhost:80',
  '::1:80',
  '[::1]',
  '[::1%lo]:80',
  '[127.0.0.1]:80',
  ' 127.0.0.1:80',
  'http://127.0.0.1:80',
  '',
])('refuses "%s", and says which form to use', (text) => {
  expect(parseListen(text)).toMatch(/^use an address and a port such as/)
})

test.each(['0.0.0.0:80', '192.168.0.1:80', '8.8.8.8:80', '[::]:80', '[fd00::1]:80'])(
  'refuses %s unless told otherwise',
  (text) => {
    expect(parseListen(text)).toMatch(/^use a loopback address such as "127.0.0.1:80"/)
    expect(parseListen(text, { allowNonLoopback: true })).toMatchObject({ kind: 'tcp', port: 80 })
  },
)

test.each([
  'unix:@sallyport',
  'unix:\0sallyport',
  'unix:',
  'unix:/run/',
  `unix:/run/${'x'.repeat(115)}`,
  `unix:/${'d'.repeat(100)}/x`,
])('H11, H13: refuses %j', (text) => {
  expect(parseListen(text)).toMatch(/^use (?:a path of the file system|the path of the socket|a shorter path)/)
})

test.each([
  ['127.0.0.1', /^127\.0\.0\.1:[1-9]\d*$/],
  ['::1', /^\[::1\]:[1-9]\d*$/],
])('says at which port of %s it listens', async (host, written) => {
  const server = newServer()
  const bound = await bind(server, { kind: 'tcp', host, port: 0 })
  expect(bound.address).toMatch(written)
  await bound.release()
  expect(server.listening).toBe(true)
})

test('K12: a port in use is refused, and nothing half-listens', async () => {
  const { address } = await bind(newServer(), { kind: 'tcp', host: '127.0.0.1', port: 0 })
  const second = newServer()
  const port = Number(address.split(':')[1])
  await expectRefusal(bind(second, { kind: 'tcp', host: '127.0.0.1', port }), 'address-in-use', address)
  expect(second.listening).toBe(false)
})

test('K12: an address of another machine is refused', async () => {
  await expectRefusal(
    bind(newServer(), { kind: 'tcp', host: '192.0.2.1', port: 0 }),
    'address-unavailable',
    '192.0.2.1:0',
  )
})
