import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { crmDirectory, crmSettings } from '../stories/crm.ts'
import { remove, runCli, writeSecret } from '../support/sallyport.ts'

/** Settings of one test, with this authority. */
function settingsWith(ca: unknown) {
  const directory = crmDirectory()
  onTestFinished(() => remove(directory))
  const settings = crmSettings({ port: 443, settings: { ca } })
  return { directory, config: writeSecret(directory, 'sallyport.yaml', JSON.stringify(settings)) }
}

function ca(verb: string, config: string, ...more: readonly string[]) {
  return runCli(['ca', verb, '--config', config, ...more])
}

test('path makes the authority and says where its bundle is; export prints the certificate that is in it', async () => {
  const { directory, config } = settingsWith({ directory: 'own' })
  expect(await ca('path', config)).toMatchObject({
    code: 0,
    stdout: `${join(directory, 'own/bundle.pem')}\n`,
    stderr: '',
  })
  const { stdout } = await ca('export', config)
  expect(new X509Certificate(stdout).subject).toMatch(/^CN=Sallyport local CA /)
  expect(stdout).not.toContain('PRIVATE')
  expect(readFileSync(join(directory, 'own/bundle.pem'), 'utf8')).toContain(stdout.trim())
  const { stdout: whole } = await ca('export', config, '--bundle')
  expect(whole.split('-----BEGIN CERTIFICATE-----').length).toBeGreaterThan(50)
})

test('rotate makes another one, and says what has to be started again', async () => {
  const { config } = settingsWith({ directory: 'own' })
  await ca('path', config)
  const before = (await ca('export', config)).stdout
  expect((await ca('rotate', config)).stdout).toMatch(
    /bundle\.pem has the new certificate, good until .*; restart Sallyport/,
  )
  expect((await ca('export', config)).stdout).not.toBe(before)
})

test.each([
  ['an ephemeral authority', 'ephemeral', 'use "ca: { directory: DIR }"'],
  ['none', undefined, 'add "ca: { directory: DIR }"'],
])('export of %s ends with 2, and says what to do', async (_what, authority, remedy) => {
  const { code, stdout, stderr } = await ca('export', settingsWith(authority).config)
  expect([code, stdout]).toEqual([2, ''])
  expect(stderr).toContain(remedy)
})

test('export before there is one says what makes it', async () => {
  const { code, stderr } = await ca('export', settingsWith({ directory: 'own' }).config)
  expect(code).toBe(2)
  expect(stderr).toContain('serve')
})
