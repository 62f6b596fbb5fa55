import { hash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { eventually, type Running, remove, runCli, startSallyport } from '../support/sallyport.ts'
import { askAdmin, crmDirectory, crmSettings } from './crm.ts'

/** Each starts several programs, one after the other. */
const TIMEOUT = { timeout: 120_000 }

async function started(settings: object) {
  const directory = crmDirectory()
  onTestFinished(() => remove(directory))
  const running = await startSallyport(directory, settings)
  onTestFinished(() => running.stop('SIGKILL').then(() => undefined))
  return { running, file: join(directory, 'sallyport.yaml') }
}

const isIn = (lines: readonly Record<string, unknown>[], action: string) =>
  lines.filter((one) => one['action'] === action)

function linesOf({ directory }: Running): Record<string, unknown>[] {
  const text = readFileSync(join(directory, 'audit.jsonl'), 'utf8')
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line))
}

/** What the metric says. */
async function shown(running: Running): Promise<string | undefined> {
  return /^sallyport_settings_info\{digest="([0-9a-f]+)"\} 1$/m.exec((await askAdmin(running, '/metrics')).text)?.[1]
}

async function checked(file: string): Promise<string | undefined> {
  return /^settings digest: ([0-9a-f]{64})$/m.exec((await runCli(['check', '--config', file])).stdout)?.[1]
}

async function reloaded(running: Running, times: number): Promise<void> {
  process.kill(running.pid, 'SIGHUP')
  await eventually(
    () => isIn(linesOf(running), 'settings.reload').length === times || undefined,
    'the reload in the audit',
  )
}

test(
  'check, the ready line, the log, the metric and the audit name settings by one digest: that of the file',
  TIMEOUT,
  async () => {
    const { running, file } = await started(crmSettings({ port: 443 }))
    const first = hash('sha256', readFileSync(file))
    expect(await checked(file)).toBe(first)
    expect(JSON.parse(/^\{"msg":"ready".*$/m.exec(running.output())?.[0] ?? '')).toMatchObject({
      settingsDigest: first,
    })
    expect(linesOf(running)[0]).toMatchObject({ msg: 'start', settingsDigest: first })
    expect(await shown(running)).toBe(first)
    // With a byte order mark, a comment and an umlaut: of the bytes, as sha256sum has it.
    writeFileSync(file, `\uFEFF# größer\n${readFileSync(file, 'utf8')}`)
    const second = hash('sha256', readFileSync(file))
    await reloaded(running, 1)
    expect(isIn(linesOf(running), 'settings.reload')).toMatchObject([
      { before: { digest: first }, after: { digest: second } },
    ])
    await eventually(async () => (await shown(running)) === second || undefined, 'the second digest')
    expect(running.output()).toContain(`"settingsDigest":"${second}"`)
    expect(await checked(file)).toBe(second)
  },
)

test('where rules go by an API description, other operations in it are other settings', TIMEOUT, async () => {
  const usual = crmSettings({ port: 443 })
  const rules = [{ openapi: { file: 'api.json' }, operations: ['list'] }]
  const settings = { ...usual, grants: [{ caller: 'checkout', connection: 'crm', rules }] }
  const directory = crmDirectory()
  onTestFinished(() => remove(directory))
  const describe = (path: string) => {
    const description = { openapi: '3.1.0', paths: { [path]: { get: { operationId: 'list' } } } }
    writeFileSync(join(directory, 'api.json'), JSON.stringify(description))
  }
  describe('/v1/contacts')
  const running = await startSallyport(directory, settings)
  onTestFinished(() => running.stop('SIGKILL').then(() => undefined))
  const file = join(directory, 'sallyport.yaml')
  const digest = () => {
    const each = [file, join(directory, 'api.json')].map((one) => `${hash('sha256', readFileSync(one))}\n`)
    return hash('sha256', each.join(''))
  }
  const first = digest()
  expect([await shown(running), await checked(file)]).toEqual([first, first])
  describe('/v2/contacts')
  await reloaded(running, 1)
  expect(digest()).not.toBe(first)
  await eventually(async () => (await shown(running)) === digest() || undefined, 'the second digest')
})
