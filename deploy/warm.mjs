// Starts the bundle beside it as a sidecar does, asks its admin door once, and ends it: what Node compiled for that is then in
// its compile cache. The Dockerfile runs this where the cache will be read; no part of it gets into the image.
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { get } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const directory = mkdtempSync(join(tmpdir(), 'warm-'))
const config = join(directory, 'sallyport.yaml')
const credential = {
  kind: 'client-credentials',
  tokenEndpoint: 'https://login.example.com/token',
  clientId: 'warm',
  clientSecret: { file: 'key' },
}
const settings = {
  listeners: [
    { kind: 'forward', listen: 'unix:forward.sock' },
    { kind: 'reverse', listen: 'unix:reverse.sock', connection: 'api' },
  ],
  admin: { listen: 'unix:admin.sock' },
  health: { listen: 'unix:health.sock', metrics: true },
  ca: 'ephemeral',
  allowlist: ['api.example.com'],
  callers: { app: { kind: 'api-key', key: { file: 'key' } } },
  connections: { api: { hosts: ['api.example.com'], credential, inject: { kind: 'bearer' } } },
  grants: [{ caller: 'app', connection: 'api' }],
}
writeFileSync(join(directory, 'key'), randomBytes(24).toString('hex'), { mode: 0o600 })
writeFileSync(config, JSON.stringify(settings), { mode: 0o600 })

const bundle = join(import.meta.dirname, 'sallyport.mjs')
process.argv.splice(1, 1, bundle, 'serve', '--config', config)
process.on('exit', () => rmSync(directory, { recursive: true, force: true }))
// It is ready when its import is done, or has said what is wrong.
await import(bundle)
if (process.exitCode !== undefined) process.exit()
get({ socketPath: join(directory, 'admin.sock'), path: '/readyz' }, (response) => {
  response.resume()
  response.on('end', () => process.kill(process.pid, 'SIGTERM'))
})
