import { expect, test } from 'vitest'
import { placeOf } from '../../src/store/postgres-url.ts'

test('reads a URL, and keeps the password apart', () => {
  const place = placeOf('postgres://sally%40x:p%2Fw%25d@db.test:6432/my%20db\n', false)
  expect(place).toMatchObject({ host: 'db.test', port: 6432, user: 'sally@x', database: 'my db', isEncrypted: true })
  expect(JSON.stringify(place)).not.toContain('p/w%d')
  expect(place.password()).toBe('p/w%d')
})

test.each([
  ['postgresql://u@db.test', { port: 5432, database: 'u' }],
  ['postgres://u@[fd00::7]/d', { host: 'fd00::7', isEncrypted: true }],
  ['postgres://u@/d?host=/run/postgresql', { host: '/run/postgresql', isEncrypted: false }],
  ['postgres://u:p@/d?host=/run/postgresql', { host: '/run/postgresql', isEncrypted: false }],
  ['postgres://u@%2Frun%2Fpostgresql/d', { host: '/run/postgresql', isEncrypted: false }],
  ['postgres://u@127.0.0.2/d', { isEncrypted: false }],
  ['postgres://u@[::1]/d', { isEncrypted: false }],
  ['postgres://u@localhost/d?sslmode=disable', { isEncrypted: false }],
  ['postgres://u@localhost/d?sslmode=require', { isEncrypted: true }],
  ['postgres://u@db.test/d?sslmode=prefer', { isEncrypted: true }],
  ['postgres://u@db.test/d?options=-c%20search_path%3Dsally', { options: '-c search_path=sally' }],
])('reads %s', (url, place) => {
  expect(placeOf(url, false)).toMatchObject(place)
})

test.each([
  ['canary', /cannot be read: use postgres:\/\/USER:PASSWORD@HOST\/DATABASE/],
  ['mysql://u:canary@h/d', /cannot be read/],
  ['postgres://:canary@h/d', /name the user/],
  ['postgres://u:canary@/d', /name the host/],
  ['postgres://u:canary%zz@h/d', /write "%" as "%25"/],
  ['postgres://u:canary@h/d?host=other', /names the directory of a Unix socket/],
  ['postgres://u:canary@h/d?sslrootcert=/canary', /use no parameters but sslmode, options and host/],
  ['postgres://u:canary@h/d?sslmode=no-verify', /use sslmode=verify-full/],
  ['postgres://u:canary@h/d?sslmode=allow', /use sslmode=verify-full/],
  ['postgres://u:canary@h/d?sslmode=disable', /take sslmode=disable out of the URL/],
])('refuses %s, and does not repeat it', (url, words) => {
  const read = () => placeOf(url, false).password()
  expect(read).toThrow(words)
  expect(read).not.toThrow(/canary/)
})

test('speaks plaintext to another machine when that was called unsafe, and asked for', () => {
  expect(placeOf('postgres://u@db.test/d?sslmode=disable', true).isEncrypted).toBe(false)
  expect(placeOf('postgres://u@db.test/d', true).isEncrypted).toBe(true)
})
