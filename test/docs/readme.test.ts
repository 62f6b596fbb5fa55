import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, expect, test } from 'vitest'

const root = new URL('../..', import.meta.url).pathname
const readme = readFileSync(join(root, 'README.md'), 'utf8')
const blocks = [...readme.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, text]) => text ?? '')

/** A copy of what a clone has, with the packages it would install. */
const clone = mkdtempSync(join(tmpdir(), 'sallyport-readme-'))
for (const name of ['src', 'config', 'package.json']) cpSync(join(root, name), join(clone, name), { recursive: true })
symlinkSync(join(root, 'node_modules'), join(clone, 'node_modules'))
afterAll(() => rmSync(clone, { recursive: true }))

function run(script: string) {
  // What `run` records would be the user's.
  const env = { ...process.env, XDG_STATE_HOME: clone }
  return spawnSync('sh', ['-ec', script], { cwd: clone, encoding: 'utf8', env })
}

test('the first minute is two commands, which test/stories/playground.test.ts runs', () => {
  expect(blocks[0]).toBe('npm ci\nnpm start\n')
})

test('the commands of "Your own" work as they are printed, in order', () => {
  const [, make = '', ask = ''] = blocks
  expect(run(make)).toMatchObject({ status: 0, stderr: '' })
  const asked = run(ask)
  expect(asked.stderr).toBe('')
  expect(asked.stdout.split('\n')).toEqual([
    'my/sallyport.yaml is right: 2 listeners, 1 caller, 1 connection, 1 grant',
    'permit: grant grants[0], rule 0 lets checkout use crm',
    'refuse: no rule of grant grants[0] lets DELETE through to this path (rule-not-matched)',
    expect.stringContaining('No rule of the grant'),
    'exit 1',
    '',
  ])
})

test('the commands for apps that insist on https:// work as they are printed', { timeout: 60_000 }, () => {
  const asked = run(blocks[3] ?? '')
  const [refused, ...printed] = asked.stdout.split('\n')
  expect(refused).toBe('exit 56')
  expect(asked.stderr).toContain('curl: (56) ')
  expect(printed.join('\n')).toContain('value: "http://checkout:$(SALLYPORT_KEY)@127.0.0.1:15001"')
  // Nothing of it is there: no sidecar is running, and no name resolves.
  expect(asked.stdout).toMatch(/^ {2}failed {3}forward 127\.0\.0\.1:15001: nothing listens there/m)
  expect(asked.stdout).toMatch(/^(\d+) failed, .*\n\1 to mend\n$/m)
})

test('every sh block is one of those', () => {
  expect(blocks).toHaveLength(4)
})

test.each([
  'README.md',
  'src/README.md',
  'src/decisions.md',
  'config/README.md',
  'config/problems.md',
  '.github/SECURITY.md',
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
