import { spawn, spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  globSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { holdDocumentedPorts, TURN_MS } from '../support/ports.ts'
import { eventually } from '../support/sallyport.ts'

const root = new URL('../..', import.meta.url).pathname
const readme = readFileSync(join(root, 'README.md'), 'utf8')
const blocks = [...readme.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, text]) => text ?? '')

let release: () => void = () => undefined

beforeAll(async () => {
  release = await holdDocumentedPorts()
}, TURN_MS)

afterAll(() => release())

/** A copy of what a clone has, with the packages it would install. */
const clone = mkdtempSync(join(tmpdir(), 'sallyport-readme-'))
for (const name of ['src', 'config', 'deploy', 'package.json'])
  cpSync(join(root, name), join(clone, name), { recursive: true })
symlinkSync(join(root, 'node_modules'), join(clone, 'node_modules'))
afterAll(() => rmSync(clone, { recursive: true }))

const home = mkdtempSync(join(tmpdir(), 'sallyport-home-'))
afterAll(() => rmSync(home, { recursive: true }))

const { NODE_OPTIONS: _unused, XDG_STATE_HOME: _other, ...rest } = process.env
/** With a Node of the machine, or none: the right one comes with the packages. */
const ENV = { ...rest, HOME: home, PATH: '/usr/local/bin:/usr/bin:/bin' }

/** Runs these blocks one after another in one shell, as whoever follows the page has it, in the clone. */
function run(...scripts: readonly string[]) {
  return spawnSync('sh', ['-ec', scripts.join('\n')], { cwd: clone, encoding: 'utf8', env: ENV })
}

/** What the blocks before leave in a shell. */
const THERE = `export PATH="${clone}/deploy:$PATH"; cd ~/sallyport-demo`

test('the first minute is two commands, which test/stories/playground.test.ts runs', () => {
  expect(blocks[0]).toBe('npm ci\nnpm start\n')
})

test('the commands of "Your own" work as they are printed, in order', () => {
  const [, make = '', ask = ''] = blocks
  const before = filesIn(clone)
  expect(run(make)).toMatchObject({ status: 0, stderr: '' })
  for (const name of ['crm.secret', 'checkout.key'])
    expect(statSync(join(home, 'sallyport-demo', name)).mode & 0o77).toBe(0)
  const asked = run(THERE, ask)
  expect(filesIn(clone)).toEqual(before)
  expect(asked.stderr).toMatch(/^this is what the settings file says: --live asks .*\n$/)
  expect(asked.stdout.split('\n')).toEqual([
    'sallyport.yaml is right: 2 listeners, 1 caller, 1 connection, 1 grant',
    expect.stringMatching(/^settings digest: [0-9a-f]{64}$/),
    'permit: grant grants[0], rule 0 lets checkout use crm',
    'refuse: no rule of grant grants[0] lets DELETE through to this path (rule-not-matched)',
    expect.stringContaining('No rule of the grant'),
    'exit 1',
    '',
  ])
})

test('the commands for apps that insist on https:// work as they are printed', { timeout: 240_000 }, () => {
  const asked = run(THERE, blocks[3] ?? '')
  const [refused, ...printed] = asked.stdout.split('\n')
  expect(refused).toBe('exit 56')
  expect(asked.stderr).toContain('curl: (56) ')
  const shown = /^# (sallyport: refused: .*) \[\.\.\.\]$/m.exec(blocks[3] ?? '')?.[1] ?? 'nothing'
  expect(asked.stderr).toContain(shown)
  expect(asked.stderr).toContain(`sallyport: recorded in ${home}/sallyport-demo/audit.jsonl\n`)
  expect(printed.join('\n')).toContain('value: "http://checkout:$(SALLYPORT_KEY)@127.0.0.1:15001"')
  // Nothing of it is there: no sidecar is running, and no name resolves.
  expect(asked.stdout).toMatch(/^ {2}failed {3}forward 127\.0\.0\.1:15001: nothing listens there/m)
  expect(asked.stdout).toMatch(/^(\d+) failed, .*\n\1 to mend\n$/m)
})

test('the commands of an operator work as they are printed, against the sidecar of "Your own"', {
  timeout: 240_000,
}, async () => {
  const served = spawn('sh', ['-ec', `${THERE}; exec sallyport serve --config sallyport.yaml`], { env: ENV })
  try {
    let printed = ''
    for (const stream of [served.stdout, served.stderr]) stream.on('data', (text) => (printed += String(text)))
    await eventually(() => /"msg":"ready"/.exec(printed) ?? undefined, 'a line that says ready', 40_000)
    const asked = run(THERE, blocks[4] ?? '')
    expect(asked.status, asked.stderr).toBe(0)
    const key = readFileSync(join(home, 'sallyport-demo', 'reporting.key'), 'utf8')
    expect(key).toMatch(/^sp_[\w-]{43}\n$/)
    for (const line of [
      /^reporting may use crm \(GET \/v1\/contacts\/\*\*\), until /m,
      /^permit: grant \S+, rule 0 lets reporting use crm$/m,
      /^revoked: reporting may use crm /m,
      /^crm is off for everybody$/m,
      /^intact: \d+ lines of /m,
    ])
      expect(asked.stdout).toMatch(line)
  } finally {
    served.kill()
  }
})

function filesIn(directory: string): readonly string[] {
  return readdirSync(directory, { recursive: true })
    .map(String)
    .filter((name) => !name.startsWith('node_modules'))
}

test('every sh block is one of those', () => {
  expect(blocks).toHaveLength(5)
})

test.each([
  'README.md',
  'src/README.md',
  'src/decisions.md',
  'config/README.md',
  'config/problems.md',
  '.github/SECURITY.md',
  ...globSync('deploy/**/*.md', { cwd: root }).sort(),
])('the links of %s lead somewhere', (file) => {
  const text = readFileSync(join(root, file), 'utf8')
  const targets = [...text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(([, target]) =>
    join(root, dirname(file), target ?? ''),
  )
  expect(targets.filter((target) => !existsSync(target))).toEqual([])
})

test('the README is a page, not a book', () => {
  expect(readme.split('\n').length).toBeLessThan(200)
})
