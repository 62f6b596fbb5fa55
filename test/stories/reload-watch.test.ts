import { mkdirSync, readFileSync, renameSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { eventually, type Running, remove, startSallyport } from '../support/sallyport.ts'
import { askAdmin, crmDirectory, crmSettings } from './crm.ts'

/** Whether what is served is not what the file says, by the metric that the alert goes by. */
async function stale(running: Running): Promise<string | undefined> {
  return /^sallyport_settings_stale (\d)$/m.exec((await askAdmin(running, '/metrics')).text)?.[1]
}

test('with --watch a file that goes, or is no file any more, is told like one that is wrong, until it is back', {
  timeout: 120_000,
}, async () => {
  const directory = crmDirectory()
  onTestFinished(() => remove(directory))
  const running = await startSallyport(directory, crmSettings({ port: 443 }), { flags: ['--watch'] })
  onTestFinished(() => running.stop('SIGKILL').then(() => undefined))
  const file = join(directory, 'sallyport.yaml')
  const becomes = (value: string) =>
    eventually(async () => (await stale(running)) === value || undefined, `sallyport_settings_stale ${value}`, 20_000)
  expect(await stale(running)).toBe('0')
  renameSync(file, `${file}.aside`)
  await becomes('1')
  renameSync(`${file}.aside`, file)
  await becomes('0')
  renameSync(file, `${file}.aside`)
  mkdirSync(file)
  await becomes('1')
  rmdirSync(file)
  writeFileSync(file, readFileSync(`${file}.aside`))
  await becomes('0')
  expect(running.output()).toMatch(/does not exist: .*are not taken in[^]*is a directory: .*are not taken in/)
})
