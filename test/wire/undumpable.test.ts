import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { expect, test } from 'vitest'

const NOBODY = 1234
const identity = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {}
const module = new URL('../../src/wire/undumpable.ts', import.meta.url).href

async function startOther(script: string) {
  const child = spawn(
    process.execPath,
    ['--input-type=module', '--disable-warning=ExperimentalWarning', '-e', script],
    {
      ...identity,
      env: { SECRET_CANARY: 'in-the-environment' },
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  )
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  return { child, line: line.toString().trim() }
}

function environmentOf(pid: number | undefined) {
  return spawnSync('cat', [`/proc/${pid}/environ`], { ...identity, encoding: 'utf8' })
}

test('T13: a process of the same uid cannot read our environment any more', async () => {
  const open = await startOther("console.log('ready'); process.stdin.resume()")
  expect(environmentOf(open.child.pid).stdout).toContain('in-the-environment')
  open.child.kill()
  const closed = await startOther(
    `const { makeUndumpable } = await import('${module}'); console.log(makeUndumpable()); process.stdin.resume()`,
  )
  expect(closed.line).toBe('true')
  const looked = environmentOf(closed.child.pid)
  expect(looked.status).not.toBe(0)
  expect(looked.stdout).toBe('')
  closed.child.kill()
})
