import { execFileSync, spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { formats, KEY } from '../../src/cli/env-formats.ts'

const ODD = [
  `a'b"c`,
  '$(touch /nonexistent/x) `id` $HOME ${HOME}',
  'back\\slash \\$ \\n',
  'two  spaces * ? [a]',
  'line\nfeed\n',
  '# no comment',
  '${SALLYPORT_KEY}',
  '!history',
  'ünï',
  '',
]
const variables = {
  HTTP_PROXY: `http://checkout:${KEY}@127.0.0.1:15001`,
  MIXED: `"$HOME"\\\`id\`${KEY}'`,
  ...Object.fromEntries(ODD.map((value, index) => [`ODD_${index}`, value])),
}
const KEY_FILE = `"$(cat '/it'\\''s/key')"`
const printout = { variables, caller: 'Check.Out@app_1', key: KEY_FILE, notes: ['the one', 'the other\n$(exit 1)'] }

const MADE = `make the secret: kubectl create secret generic sallyport-check-out-app-1 --from-literal=key=${KEY_FILE}`

/** The environment after `script`, which gets what was printed as `$1`. */
function afterShell(script: string, printed: string): Map<string, string> {
  const text = execFileSync('sh', ['-c', `${script}; env -0`, 'sh', printed], {
    env: { PATH: process.env['PATH'], HOME: '/home/of-nobody', SALLYPORT_KEY: `k"e'y$` },
    encoding: 'utf8',
  })
  const rows = text.split('\0').map((row) => [row.slice(0, row.indexOf('=')), row.slice(row.indexOf('=') + 1)] as const)
  return new Map(rows)
}

test('a shell that evaluates it has every value as it was, with the key put in', () => {
  const env = afterShell('eval "$1"', formats.shell(printout))
  for (const [name, value] of Object.entries(variables))
    expect([name, env.get(name)]).toEqual([name, value.replaceAll(KEY, `k"e'y$`)])
})

test('a shell that was given no quotes still gets all of them: no comment stands before', () => {
  const plain = { ...printout, variables: { A: '1', B: `x${KEY}`, C: 'it' } }
  const env = afterShell('set -f; eval $1', formats.shell(plain))
  expect([env.get('A'), env.get('B'), env.get('C')]).toEqual(['1', `xk"e'y$`, 'it'])
})

/** What a shell says that has no key, or an empty one. */
function afterNoKey(shell: string, flags: string, env: NodeJS.ProcessEnv) {
  const script = 'eval "$1"; echo "went on: $HTTP_PROXY"'
  const { status, stdout, stderr } = spawnSync(shell, [`-${flags}c`, script, 'sh', formats.shell(printout)], {
    env: { PATH: process.env['PATH'], ...env },
    encoding: 'utf8',
  })
  return { isOver: status !== 0, stdout, stderr }
}

test.each(['dash', 'bash'])('%s that has no key, or an empty one, ends there and says how to set it', (shell) => {
  for (const flags of ['', 'u', 'e']) {
    for (const env of [{}, { SALLYPORT_KEY: '' }]) {
      const { isOver, stdout, stderr } = afterNoKey(shell, flags, env)
      expect({ isOver, stdout }).toEqual({ isOver: true, stdout: '' })
      expect(stderr).toContain(`SALLYPORT_KEY: is not set: export SALLYPORT_KEY=${KEY_FILE}\n`)
    }
  }
})

test('a bash that somebody types into sets nothing at all, and goes on', () => {
  const typed = 'eval "$PRINTED"\necho "went on: $HTTP_PROXY$ODD_1"\n'
  const env = { PATH: process.env['PATH'], PRINTED: formats.shell(printout) }
  const { stdout, stderr } = spawnSync('bash', ['--norc', '-i'], { input: typed, env, encoding: 'utf8' })
  expect(stdout).toBe('went on: \n')
  expect(stderr).toContain('SALLYPORT_KEY: is not set: export SALLYPORT_KEY=')
})

test.each(['dash', 'bash'])('%s has the key, and under set -eu too', (shell) => {
  for (const flags of ['', 'eu'])
    expect(afterNoKey(shell, flags, { SALLYPORT_KEY: 'a * b' }).stdout).toBe(
      'went on: http://checkout:a * b@127.0.0.1:15001\n',
    )
})

test('JSON has every value as it was, and the name of the variable for the key', () => {
  const parsed = JSON.parse(formats.json(printout))
  expect(parsed.HTTP_PROXY).toBe('http://checkout:${SALLYPORT_KEY}@127.0.0.1:15001')
  for (const [index, value] of ODD.entries()) expect(parsed[`ODD_${index}`]).toBe(value)
})

interface Entry {
  readonly name: string
  readonly value?: string
  readonly valueFrom?: object
}

/** As kubelet does it: what stands before, and `$$` for a dollar. */
function expand(entries: readonly Entry[]): Map<string, string> {
  const env = new Map<string, string>()
  for (const { name, value } of entries) {
    const expanded = value?.replace(/\$\$|\$\((\w+)\)/g, (text, wanted) => (wanted ? (env.get(wanted) ?? text) : '$'))
    env.set(name, expanded ?? 'the key')
  }
  return env
}

test('Kubernetes has every value as it was, with the key from a secret that stands first', () => {
  const text = formats.kubernetes(printout)
  const { env } = parse(text) as { env: Entry[] }
  expect(env[0]).toEqual({
    name: 'SALLYPORT_KEY',
    valueFrom: { secretKeyRef: { name: 'sallyport-check-out-app-1', key: 'key' } },
  })
  const expanded = expand(env)
  for (const [name, value] of Object.entries(variables))
    expect([name, expanded.get(name)]).toEqual([name, value.replaceAll(KEY, 'the key')])
  expect(text.startsWith(`# ${MADE}\n# the one\n# the other $(exit 1)\nenv:\n`)).toBe(true)
})

test('Kubernetes needs no secret where there is nothing to show', () => {
  const { env } = parse(formats.kubernetes({ ...printout, key: undefined, variables: { A: '1' } })) as { env: Entry[] }
  expect(env).toEqual([{ name: 'A', value: '1' }])
})
