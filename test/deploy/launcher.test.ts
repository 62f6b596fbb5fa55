import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { emptyDirectory } from '../cli/doctoring.ts'
import { environmentOf, type Place, placeFor } from '../cli/running.ts'

const ROOT = new URL('../..', import.meta.url).pathname
const LAUNCHER = join(ROOT, 'deploy/sallyport')
/** No upstream is asked. */
const PORT = 9

/** The environment of a login, as far as there is one: nothing of the npm that runs the tests. */
function plain(place: Place): Record<string, string> {
  return { PATH: '/usr/bin:/bin', HOME: place.temporary, TMPDIR: place.temporary, LANG: 'C.UTF-8' }
}

function rowsOf(text: string): Map<string, string> {
  return new Map(
    text
      .split('\0')
      .filter(Boolean)
      .map((row) => [row.slice(0, row.indexOf('=')), row.slice(row.indexOf('=') + 1)]),
  )
}

test('the launcher alone is executable: npm need not change the mode of a file that git keeps', () => {
  const mode = (file: string) => statSync(join(ROOT, file)).mode & 0o111
  expect([mode('deploy/sallyport') > 0, mode('deploy/start.mjs'), mode('src/cli.ts')]).toEqual([true, 0, 0])
})

test('by a link to a link, from another directory with odd names, it is the command', () => {
  const place = placeFor(PORT)
  const bin = join(emptyDirectory(), "-b i'n")
  mkdirSync(bin)
  symlinkSync(LAUNCHER, join(bin, 'one'))
  symlinkSync('one', join(bin, 'sallyport'))
  const env = { ...plain(place), PATH: `${bin}:/usr/bin:/bin`, CDPATH: '/usr:/' }
  const { status, stdout, stderr } = spawnSync('sallyport', ['check', '--config', 'sallyport.json'], {
    cwd: place.directory,
    env,
    encoding: 'utf8',
  })
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  expect(stdout).toMatch(
    /^sallyport\.json is right: 2 listeners, 1 caller, 1 connection, 1 grant\nsettings digest: [0-9a-f]{64}\n$/,
  )
})

test('a command that it runs is where the caller was, with nothing in its environment but what leads to the sidecar', () => {
  const place = placeFor(PORT)
  const env = { ...plain(place), here: 'of the user', node: 'of the user' }
  const words = ['run', '--config', 'sallyport.json', '--', 'sh', '-c', 'pwd; env -0']
  const { stdout } = spawnSync(LAUNCHER, words, { cwd: place.directory, env, encoding: 'utf8' })
  expect(stdout.split('\n')[0]).toBe(place.directory)
  const seen = rowsOf(stdout.slice(stdout.indexOf('\n') + 1))
  for (const [name, value] of Object.entries(env)) expect([name, seen.get(name)]).toEqual([name, value])
  const more = [...seen.keys()].filter((name) => !(name in env))
  expect(more.filter((name) => /compile|sallyport/i.test(name) || isOfNpm(name))).toEqual([])
})

test('by npm it is the same command: where the caller was, and without the Node and the variables of npm', () => {
  const place = placeFor(PORT)
  const below = join(ROOT, 'test', 'deploy')
  const script = 'pwd; command -v node; env -0'
  const words = ['run', '-s', 'sallyport', '--', 'run', '--config', place.config, '--', 'sh', '-c', script]
  const path = `${join(ROOT, 'node_modules/.bin')}:/usr/bin:/bin`
  // Behind what npm puts first, an entry of the user's own would be the same directory: it goes, too.
  const env = { ...environmentOf(place), PATH: path, npm_config_cache: join(place.temporary, 'npm') }
  const clean = Object.fromEntries(Object.entries({ ...process.env, ...env }).filter(([name]) => !isOfNpm(name)))
  const { stdout, stderr } = spawnSync('npm', words, { cwd: below, env: clean, encoding: 'utf8' })
  expect(stderr).toBe('')
  expect(stdout.split('\n')[0]).toBe(below)
  const rows = rowsOf(stdout.slice(stdout.indexOf('\n') + 1))
  expect(stdout).not.toContain(`${ROOT}node_modules/.bin`)
  expect(rows.get('PATH')).toBe('/usr/bin:/bin')
  expect([...rows.keys()].filter(isOfNpm)).toEqual([])
})

/** `npm_config_cafile` is one of those by which a child trusts its sidecar. */
function isOfNpm(name: string): boolean {
  return (name.startsWith('npm_') && name !== 'npm_config_cafile') || name === 'INIT_CWD'
}

/** A checkout without packages, and a Node on PATH that calls itself by this version, and says what it was started with. */
function bareCheckout(version: string) {
  const root = emptyDirectory()
  const [deploy, bin] = [join(root, 'deploy'), join(root, 'bin')]
  for (const directory of [deploy, bin]) mkdirSync(directory)
  copyFileSync(LAUNCHER, join(deploy, 'sallyport'))
  const script = `#!/bin/sh\ncase $1 in --version) echo ${version} ;; *) printf '%s\\n' "$@" ;; esac\n`
  writeFileSync(join(bin, 'node'), script, { mode: 0o755 })
  return {
    root,
    run: () =>
      spawnSync(join(deploy, 'sallyport'), ['why', 'a b'], { env: { PATH: `${bin}:/usr/bin:/bin` }, encoding: 'utf8' }),
  }
}

test.each(['v26.10.0', 'v26.11.3', 'v26.100.0', 'v27.0.0', 'v30.2.0'])(
  'without packages it takes Node %s from PATH, with the flags of src/cli.ts',
  (version) => {
    const { root, run } = bareCheckout(version)
    const flags = [
      '--disable-sigusr1',
      '--expose-gc',
      '--disable-warning=ExperimentalWarning',
      '--disable-warning=DEP0060',
    ]
    expect(run().stdout.split('\n')).toEqual([...flags, join(root, 'deploy/start.mjs'), 'why', 'a b', ''])
  },
)

test.each(['v20.20.2', 'v26.9.1', 'v26.1.0', 'v9.11.0', 'nonsense'])(
  'Node %s is too old, and what to do is said',
  (version) => {
    const { root, run } = bareCheckout(version)
    const { status, stdout, stderr } = run()
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
    expect(stderr).toBe(`sallyport needs Node 26.10 or later: run npm ci in ${root}\n`)
  },
)

test('a Node that is too old and was named by hand says so itself, instead of a SyntaxError', () => {
  const old = "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '22.3.0' } })"
  const args = ['--import', `data:text/javascript,${encodeURIComponent(old)}`, join(ROOT, 'deploy/start.mjs')]
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  expect({ status, stderr }).toEqual({
    status: 2,
    stderr: 'sallyport needs Node 26.10 or later: this one is 22.3.0\n',
  })
})
