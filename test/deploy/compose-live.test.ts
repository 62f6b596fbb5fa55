import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { makeAuthority } from '../support/certificates.ts'
import { hasTool, pathOf } from '../support/debian.ts'
import { canMakeNetworks, type Host, makeNetworks, type Networks } from '../support/networks.ts'
import { type Postgres, startPostgres } from '../support/postgres.ts'
import { commandFor, probe } from '../support/probes.ts'
import { eventually, privateDirectory, runCli } from '../support/sallyport.ts'

const FOLDER = 'deploy/compose'
const ROOT = new URL('../..', import.meta.url).pathname
const SECRET = 'GH_CANARY'
const GITHUB = '44.0.0.2'
/** User and group of the containers `door` and `app`. */
const APP = 10_001

/**
 * The files of deploy/compose in namespaces in place of containers: `inside` is a network with nobody in it, the other one
 * has Sallyport and the upstream. What an engine would do with compose.yaml itself is not tried here.
 */
describe.skipIf(!canMakeNetworks() || !hasTool('postgresql'))('the compose example, in networks of its own', () => {
  const { services } = parse(readFileSync(join(FOLDER, 'compose.yaml'), 'utf8'), { merge: true })
  const children: Running[] = []
  let directory: string
  let networks: Networks
  let postgres: Postgres
  let sallyport: Running
  let upstream: Running

  /** A line of the README, where its files are; root needs no sudo. */
  function inFolder(line: string, token: string): void {
    const env = { ...process.env, GITHUB_TOKEN: token }
    execFileSync('sh', ['-euc', line.replaceAll('sudo ', '')], { cwd: directory, env })
  }

  /** Where a path of a container is here. */
  const here = (text: string) =>
    text
      .replaceAll('/run/sallyport', join(directory, 'doors'))
      .replaceAll('/run/trust', join(directory, 'trust'))
      .replaceAll('/var/lib/sallyport/ca', join(directory, 'authority'))
      .replaceAll('/var/lib/sallyport', join(directory, 'state'))

  beforeAll(async () => {
    directory = privateDirectory()
    chmodSync(directory, 0o755)
    for (const name of ['doors', 'state']) mkdirSync(join(directory, name), { mode: 0o755 })
    const authority = await makeAuthority()
    networks = await makeNetworks(directory, [`${GITHUB}/32`])
    // In the network `inside` there is nobody.
    networks.pod.run(pathOf('ip'), 'link', 'set', 'eth0', 'down')
    networks.world.names({ 'api.github.com': [GITHUB] })
    postgres = await startPostgres()
    upstream = begin(
      networks.world,
      0,
      UPSTREAM,
      JSON.stringify({ host: GITHUB, ...(await authority.issue(['api.github.com'])) }),
    )
    await eventually(() => /up/.exec(upstream.text())?.[0], 'the upstream')

    for (const line of readmeLines(/^mkdir|install -m/)) inFolder(line, SECRET)
    const made = { 'secrets/github': 0o400, 'secrets/audit': 0o400, authority: 0o700, trust: 0o755 }
    for (const [name, mode] of Object.entries(made)) {
      const found = statSync(join(directory, name))
      expect([name, found.uid, found.mode & 0o777]).toEqual([name, 65_532, mode])
      // Here Sallyport is root.
      chownSync(join(directory, name), 0, 0)
    }
    writeFileSync(join(directory, 'upstream.pem'), authority.certPem)
    const settings = here(readFileSync(join(FOLDER, 'sallyport.yaml'), 'utf8'))
    // The one difference: whom to trust as the upstream.
    const trusting = settings.replace('hosts: [ api.github.com ]', '$&\n    tls: { ca: { file: upstream.pem } }')
    writeFileSync(join(directory, 'sallyport.yaml'), trusting)
    sallyport = await startSallyport()
  }, 240_000)

  afterAll(async () => {
    for (const child of children) child.end()
    await postgres.remove()
    networks.close()
  })

  /** With the group of the container, and processes of its own; as root, because this checkout may be closed to everybody else. */
  async function startSallyport(): Promise<Running> {
    const [row] = await postgres.query('show unix_socket_directories')
    const url = new URL(await postgres.createDatabase())
    url.searchParams.set('host', String(row?.['unix_socket_directories']))
    const cli = ['src/cli.ts', 'serve', '--config', join(directory, 'sallyport.yaml')]
    const [program, ...enter] = [
      ...networks.world.as(0),
      'setpriv',
      '--regid=65532',
      '--clear-groups',
      '--',
      // The last one: a process that changes its group forgets that it is to end with its parent.
      'unshare',
      '--pid',
      '--fork',
      '--kill-child',
      '--',
    ]
    const node = [
      process.execPath,
      '--disable-warning=ExperimentalWarning',
      ...cli.map((one) => one.replace('src/', `${ROOT}src/`)),
    ]
    const child = follow(spawn(program, [...enter, ...node], { env: { ...process.env, STORE_URL: url.href } }))
    await healthy(networks.world, 'sallyport', child)
    return child
  }

  /** The health check of a container, as it stands there. */
  async function healthy(host: Host, service: 'sallyport' | 'door', child: Running): Promise<void> {
    const [, , , script] = services[service].healthcheck.test
    const look = () => (spawnSync(...commandFor(host, APP, script)).status === 0 ? true : undefined)
    await eventually(look, `a healthy ${service}: ${child.text()}`, 40_000)
  }

  async function startDoor(): Promise<Running> {
    const [, , port, path] = services.door.entrypoint
    const as = `process.setgroups([]); process.setgid(65532); process.setuid(${APP}); process.argv.splice(1, 0, 'door.mjs');`
    const [program = '', ...enter] = networks.pod.as(0)
    const source = readFileSync(join(FOLDER, 'door.mjs'), 'utf8')
    // A module cannot be given to -e after a line that is none.
    const script = source.replaceAll(/^import \{ (.*) \} from '(.*)'$/gm, "const { $1 } = require('$2')")
    const child = follow(spawn(program, [...enter, process.execPath, '-e', `${as}\n${script}`, port, here(path)]))
    await healthy(networks.pod, 'door', child)
    return child
  }

  /** A program in the container of the app, with the environment that compose gives it. */
  function inApp(uid: number, script: string): Running {
    const [program, args] = commandFor(networks.pod, uid, `(async () => {${script}})()`)
    const given = Object.entries<string>(services.app.environment).map(([name, value]) => [name, here(value)])
    return follow(spawn(program, args, { env: { PATH: process.env['PATH'], ...Object.fromEntries(given) } }))
  }

  function begin(host: Host, uid: number, script: string, ...args: readonly string[]): Running {
    return follow(spawn(...commandFor(host, uid, script, ...args)))
  }

  function follow(child: ChildProcess): Running {
    let text = ''
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding('utf8').on('data', (chunk) => (text += chunk))
    const running = { text: () => text, end: () => void child.kill('SIGKILL') }
    children.push(running)
    return running
  }

  async function answerTo(request: string): Promise<string> {
    const child = inApp(
      APP,
      `${request.replaceAll('await fetch', 'const answer = await fetch')}\nconsole.log('said', answer.status, await answer.text())`,
    )
    return eventually(() => /said .*/.exec(child.text())?.[0], `an answer: ${child.text()}`)
  }

  test('the app asks as it stands there, and its request has the token that it never had', async () => {
    await startDoor()
    const app = inApp(APP, readFileSync(join(FOLDER, 'app.mjs'), 'utf8'))
    expect(await eventually(() => /^\d+ .*/m.exec(app.text())?.[0], `an answer: ${app.text()}`)).toBe(
      '200 {"login":"app"}',
    )
    expect(upstream.text()).toContain(`GET /user Bearer ${SECRET}\n`)
    expect(app.text()).not.toContain(SECRET)
    expect(statSync(join(directory, 'trust', 'bundle.pem')).mode & 0o044).toBe(0o044)
  })

  test('there is no other way: not by address, not by name, not to the database', async () => {
    const port = postgres.port
    const tries = [
      { host: GITHUB, port: 443 },
      { host: '10.77.0.1', port: 443 },
      { host: '127.0.0.1', port },
    ]
    expect(await probe(networks.pod, APP, tries)).toEqual(['ENETUNREACH', 'ENETUNREACH', 'ECONNREFUSED'])
    const direct = inApp(
      APP,
      "require('node:dns').lookup('api.github.com', (error) => console.log('said', error.code))",
    )
    expect(await eventually(() => /said .*/.exec(direct.text())?.[0], 'an answer')).toMatch(/EAI_AGAIN|ENOTFOUND/)
  })

  test('both gates hold: another host, another method', async () => {
    expect(await answerTo("await fetch('http://elsewhere.example.com/')")).toMatch(/said 403 .*host-not-allowed/)
    expect(await answerTo("await fetch('http://api.github.com/user', { method: 'DELETE' })")).toMatch(
      /said 403 .*rule-not-matched/,
    )
  })

  test('another user has no door, whatever it is in', async () => {
    const path = join(directory, 'doors', 'proxy.sock')
    expect(statSync(path).mode & 0o777).toBe(0o660)
    const other = inApp(
      10_002,
      `require('node:net').connect(${JSON.stringify(path)}).on('error', ({ code }) => console.log('said', code))`,
    )
    expect(await eventually(() => /said .*/.exec(other.text())?.[0], 'an answer')).toBe('said EACCES')
  })

  test('a secret that is written anew is the next that is sent', async () => {
    const [line = ''] = readmeLines(/tee secrets/)
    inFolder(line, 'GH_ROTATED')
    await eventually(async () => {
      await answerTo("await fetch('http://api.github.com/user')")
      return upstream.text().includes('Bearer GH_ROTATED') ? true : undefined
    }, 'the new secret')
  })

  test('what happened is in the database, in order, and an operator reads it there', async () => {
    const config = join(directory, 'sallyport.yaml')
    const { code, stdout } = await runCli(['audit', 'search', '--config', config, '--json'])
    expect(code).toBe(0)
    expect(stdout).toContain('"caller": "app"')
    expect(stdout).toContain('rule-not-matched')
    // As between containers: the kernel tells the user across process namespaces, and not the process.
    expect(stdout).toContain('"pid": 0,')
    expect(stdout + sallyport.text()).not.toContain(SECRET)
  })
})

/** Commands of the README, in their order: lines of blocks, and what stands in backticks. */
function readmeLines(wanted: RegExp): readonly string[] {
  const text = readFileSync(join(FOLDER, 'README.md'), 'utf8')
  const blocks = [...text.matchAll(/^```sh\n(.*?)^```$/gms)].flatMap(([, block = '']) => block.trimEnd().split('\n'))
  const inline = [...text.matchAll(/`([^`\n]+)`/g)].map(([, code = '']) => code)
  const found = [...blocks, ...inline].filter((line) => wanted.test(line))
  if (found.length === 0) throw new Error(`the README has no line ${wanted}`)
  return found
}

interface Running {
  text(): string
  end(): void
}

const UPSTREAM = `
const { host, cert, key } = JSON.parse(process.argv[1])
require('node:https').createServer({ cert, key }, ({ method, url, headers }, answer) => {
  console.log(method, url, headers.authorization)
  answer.end(JSON.stringify({ login: 'app' }))
}).listen(443, host, () => console.log('up'))`
