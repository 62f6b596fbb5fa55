import { expect, onTestFinished, test } from 'vitest'
import { remove, runCli, startSallyport, writeSecret } from '../support/sallyport.ts'
import { crmDirectory, crmSettings, stopCrm } from './crm.ts'

const MINTED = {
  kind: 'client-credentials',
  tokenEndpoint: 'https://login.crm.test/token',
  clientId: 'sallyport',
  clientSecret: { file: 'credential' },
}

test.each([
  ['an upstream', 'tls', { tls: { ca: { file: 'ca/bundle.pem' } } }],
  ['an issuer', 'credential.tls', { credential: { ...MINTED, tls: { ca: { file: 'ca/ca.pem' } } } }],
])('our own authority is never believed about %s', async (_whom, place, connection) => {
  const directory = crmDirectory()
  onTestFinished(() => remove(directory))
  const usual = { port: 443, settings: { ca: { directory: 'ca' } } }
  const before = writeSecret(directory, 'before.yaml', JSON.stringify(crmSettings(usual)))
  expect(await runCli(['ca', 'path', '--config', before])).toMatchObject({ code: 0 })
  const starting = startSallyport(directory, crmSettings({ ...usual, connection }))
  onTestFinished(async () => starting.then(stopCrm, () => undefined))
  await expect(starting).rejects.toThrow(
    `connections.crm.${place}.ca: name a file without Sallyport's own certificate: it is for apps, never for upstreams`,
  )
})
