import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import about from '../../package.json' with { type: 'json' }
import { loadSettings } from '../../src/settings/load.ts'
import { hasTool, pathOf } from '../support/debian.ts'

const FOLDER = 'deploy/compose'
const COMPOSE = join(FOLDER, 'compose.yaml')
const README = readFileSync(join(FOLDER, 'README.md'), 'utf8')

interface Service {
  readonly image: string
  readonly user: string
  readonly networks?: readonly string[]
  readonly network_mode?: string
  readonly environment?: Readonly<Record<string, string>>
  readonly secrets?: readonly { readonly source: string; readonly target: string }[]
  readonly volumes?: readonly string[]
  readonly tmpfs?: readonly string[]
  readonly entrypoint?: readonly string[]
  readonly healthcheck?: { readonly test: readonly string[] }
  readonly [key: string]: unknown
}

interface Compose {
  readonly services: Readonly<Record<'sallyport' | 'door' | 'app' | 'postgres', Service>>
  readonly networks: Readonly<Record<string, { readonly internal?: boolean }>>
  readonly volumes: Readonly<Record<string, unknown>>
  readonly secrets: Readonly<Record<string, { readonly file: string }>>
}

const compose = parse(readFileSync(COMPOSE, 'utf8'), { merge: true }) as Compose // each test looks at what it needs
const { settings } = await loadSettings(join(FOLDER, 'sallyport.yaml'))
const services = Object.entries(compose.services)

test('there is one way out, and one container has it', () => {
  const outward = Object.entries(compose.networks).filter(([, network]) => network.internal !== true)
  expect(outward.map(([name]) => name)).toEqual(['outside'])
  expect(services.filter(([, { networks = [] }]) => networks.includes('outside')).map(([name]) => name)).toEqual([
    'sallyport',
  ])
  // Without either, Compose puts a service into a network that leads out.
  for (const [name, { networks, network_mode }] of services)
    expect([name, networks !== undefined || network_mode !== undefined]).toEqual([name, true])
})

test('the app has the network of its door, which leads nowhere, and the database has none', () => {
  const { app, door, postgres } = compose.services
  expect([app.network_mode, door.networks, postgres.network_mode]).toEqual(['service:door', ['inside'], 'none'])
})

test('no port is published, and nothing reaches for the host', () => {
  for (const [name, service] of services) {
    const reaching = ['ports', 'privileged', 'cap_add', 'pid', 'ipc', 'devices', 'extra_hosts', 'userns_mode', 'expose']
    expect([name, reaching.filter((key) => key in service)]).toEqual([name, []])
    expect((service.volumes ?? []).filter((volume) => /docker\.sock|^\/|^\.\.|^~/.test(volume))).toEqual([])
  }
})

test.each(services)('%s is closed: read-only, without capabilities, privileges, or root', (_, service) => {
  expect(service).toMatchObject({ read_only: true, cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'] })
  expect(service.user).not.toMatch(/^(?:0|root)\b/)
  expect(service['mem_limit']).toBeTypeOf('string')
})

test('secrets are files, and no container but Sallyport has one', () => {
  expect(services.filter(([, { secrets }]) => secrets).map(([name]) => name)).toEqual(['sallyport'])
  for (const [name, { file }] of Object.entries(compose.secrets)) expect(file).toBe(`./secrets/${name}`)
  const named = compose.services.sallyport.secrets?.map(({ source, target }) => [source, target])
  expect(named).toEqual(Object.keys(compose.secrets).map((name) => [name, `/etc/sallyport/secrets/${name}`]))
  expect(readFileSync(join(FOLDER, '.gitignore'), 'utf8')).toMatch(/^secrets\/\nauthority\/\ntrust\/$/m)
  expect(JSON.stringify(services)).not.toMatch(/PASSWORD|TOKEN|API_KEY/)
})

test('what the settings name is where the containers have it', () => {
  const { sallyport, door, app, postgres } = compose.services
  const mounts = (service: Service) => (service.volumes ?? []).map((volume) => volume.split(':').slice(0, 2).join(':'))
  const [proxy] = settings.listeners.map(({ listen }) => listen)
  expect(mounts(sallyport)).toContain('doors:/run/sallyport')
  expect(mounts(door)).toContain('doors:/run/sallyport')
  expect(door.entrypoint?.at(-1)).toBe(proxy?.slice('unix:'.length))
  expect(app.environment?.['HTTPS_PROXY']).toBe(`http://127.0.0.1:${door.entrypoint?.at(-2)}`)
  expect(mounts(app)).toContain('./trust:/run/trust')
  expect(mounts(sallyport)).toEqual(expect.arrayContaining(['./trust:/run/trust', './authority:/var/lib/sallyport/ca']))
  expect(settings.ca).toMatchObject({ bundle: app.environment?.['NODE_EXTRA_CA_CERTS'] })
  expect(sallyport.tmpfs?.[0]).toMatch(/^\/var\/lib\/sallyport:uid=65532,/)
  expect(settings.ca).toMatchObject({ directory: '/var/lib/sallyport/ca' })
  expect(sallyport.environment?.['STORE_URL']).toContain('?host=/run/postgresql')
  expect(mounts(sallyport)).toContain('database:/run/postgresql')
  expect(mounts(postgres)).toContain('database:/var/run/postgresql')
  expect(sallyport.healthcheck?.test.at(-1)).toContain(`http://${settings.health?.listen}/readyz`)
})

test('the kernel names the caller that the settings know, and its group may open the door', () => {
  const { sallyport, door } = compose.services
  const [uid, gid] = door.user.split(':')
  expect(settings.callers['app']).toEqual({ kind: 'unix-peer', uid: Number(uid) })
  expect(sallyport.user.split(':')[1]).toBe(gid)
  expect(settings.listeners.map((listener) => 'mode' in listener && listener.mode)).toEqual(['0660', '0660'])
  expect(compose.volumes['database']).toMatchObject({
    driver_opts: { o: expect.stringContaining('uid=999,gid=999,mode=0755') },
  })
  expect(compose.services.postgres.user).toBe('999:999')
  expect(compose.volumes['doors']).toMatchObject({
    driver_opts: { o: expect.stringContaining(`gid=${gid},mode=0750`) },
  })
})

test('every file that is mounted is there, and the image is this version', () => {
  for (const [, { volumes = [], image }] of services) {
    for (const volume of volumes.filter((one) => one.startsWith('./'))) {
      const [path = ''] = volume.split(':')
      const isMade = README.includes(` -o 65532 -d ${path.slice('./'.length)}\n`)
      expect([volume, isMade || existsSync(join(FOLDER, path))]).toEqual([volume, true])
    }
    if (image.startsWith('sallyport')) expect(image).toBe(`sallyport:${about.version}`)
  }
})

test.skipIf(!hasTool('docker-compose'))('docker-compose takes it, without an engine', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-compose-'))
  mkdirSync(join(folder, 'secrets'))
  for (const name of Object.keys(compose.secrets)) writeFileSync(join(folder, 'secrets', name), 'x')
  writeFileSync(join(folder, 'compose.yaml'), readFileSync(COMPOSE))
  const told = execFileSync(pathOf('docker-compose'), ['--file', join(folder, 'compose.yaml'), 'config'], {
    encoding: 'utf8',
  })
  const { services: read, networks } = parse(told) as Compose // as Compose itself has understood it
  expect(Object.keys(read).toSorted()).toEqual(['app', 'door', 'postgres', 'sallyport'])
  expect(networks).toMatchObject({ inside: { internal: true } })
  expect(read.app).toMatchObject({ network_mode: 'service:door', read_only: true, cap_drop: ['ALL'] })
})
