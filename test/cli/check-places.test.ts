import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { privateDirectory, remove, runCli } from '../support/sallyport.ts'

const FORWARD = { kind: 'forward', listen: '127.0.0.1:0' }

function folder(): string {
  const directory = privateDirectory()
  onTestFinished(() => remove(directory))
  return directory
}

function settingsWith(hosts: readonly string[], others: object = {}): object {
  const one = (host: string) => ({ hosts: [host], credential: { kind: 'static', secret: { file: 'secret' } } })
  const connections = Object.fromEntries(hosts.map((host, index) => [`c${index}`, one(host)]))
  return {
    listeners: [FORWARD],
    allowlist: hosts,
    connections,
    ...(hosts.length > 0 && { ca: { directory: 'ca' } }),
    ...others,
  }
}

function write(directory: string, settings: object): string {
  const file = join(directory, 's.yaml')
  writeFileSync(file, JSON.stringify(settings))
  writeFileSync(join(directory, 'secret'), 'a-secret-of-the-test', { mode: 0o600 })
  return file
}

const cli = (verb: readonly string[], file: string) => runCli([...verb, '--config', file])

test('an authority that was made for other hosts is a fault for check as it is for serve, until it is rotated', async () => {
  const directory = folder()
  const before = write(directory, settingsWith(['api.test']))
  expect(await cli(['check'], before)).toMatchObject({ code: 0, stderr: '' })
  expect(existsSync(join(directory, 'ca'))).toBe(false)
  expect(await cli(['ca', 'path'], before)).toMatchObject({ code: 0 })
  expect(await cli(['check'], before)).toMatchObject({ code: 0, stderr: '' })

  const file = write(directory, settingsWith(['api.test', 'other.test']))
  const root = join(directory, 'ca', 'authority.pem')
  const key = readFileSync(root, 'utf8')
  const words = `${root} was made for other hosts than are to be intercepted now: run \`sallyport ca rotate --config ${file}\`, and hand out the new certificate`
  const refused = await cli(['check'], file)
  expect(refused).toMatchObject({ code: 2, stdout: '' })
  expect(refused.stderr).toMatch(/^\S+s\.yaml:\d+:\d+ ca\.directory: /)
  expect(refused.stderr).toContain(words)
  expect(await cli(['serve'], file)).toMatchObject({ code: 2, stderr: expect.stringContaining(words) })
  expect(readFileSync(root, 'utf8')).toBe(key)

  expect(await cli(['ca', 'rotate'], file)).toMatchObject({ code: 0 })
  expect(await cli(['check'], file)).toMatchObject({ code: 0, stderr: '' })
})

test('a directory of the authority that others may look into is a fault for check, too', async () => {
  const directory = folder()
  const file = write(directory, settingsWith(['api.test']))
  mkdirSync(join(directory, 'ca'))
  chmodSync(join(directory, 'ca'), 0o755)
  const { code, stderr } = await cli(['check'], file)
  expect([code, stderr]).toEqual([2, expect.stringMatching(/ ca\.directory: .* is open to other users: chmod 700/)])
  const idle = write(directory, settingsWith([], { ca: { directory: 'ca' } }))
  expect(await cli(['check'], idle)).toMatchObject({ code: 0, stderr: expect.stringContaining('ca: is not used') })
})

test.each([
  ['a door', 'listeners[0].listen', { listeners: [{ kind: 'forward', listen: 'unix:run/x.sock' }] }],
  ['the admin door', 'admin.listen', { admin: { listen: 'unix:run/x.sock' } }],
  ['the door of probes', 'health.listen', { health: { listen: 'unix:run/x.sock' } }],
])('where others may write to the directory of %s, check says so as serve does', async (_, path, others) => {
  const directory = folder()
  const file = write(directory, settingsWith([], others))
  const run = join(directory, 'run')
  expect(await cli(['check'], file)).toMatchObject({ code: 0, stderr: '' })
  mkdirSync(run)
  chmodSync(run, 0o777)
  const words = `others may write to ${run} and replace the socket: chmod go-w, or use a directory of its own below it`
  const refused = await cli(['check'], file)
  expect(refused).toMatchObject({ code: 2, stdout: '' })
  expect(refused.stderr).toContain(` ${path}: ${words}\n`)
  expect((await cli(['serve'], file)).stderr).toContain(words)
  chmodSync(run, 0o755)
  expect(await cli(['check'], file)).toMatchObject({ code: 0, stderr: '' })
})

test('a file in the place of the directory is a fault, and what systemd passes is where it is', async () => {
  const directory = folder()
  writeFileSync(join(directory, 'run'), '')
  const door = { kind: 'forward', listen: 'unix:run/x.sock' }
  const refused = await cli(['check'], write(directory, settingsWith([], { listeners: [door] })))
  expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('is not a directory: name a path in one') })
  const passed = write(directory, settingsWith([], { listeners: [{ ...door, systemd: 'front' }] }))
  expect(await cli(['check'], passed)).toMatchObject({ code: 0, stderr: '' })
})
