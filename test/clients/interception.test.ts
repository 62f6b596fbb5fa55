import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, test } from 'vitest'
import type { TrustFiles } from '../../src/cli/child-environment.ts'
import { publishedTrust } from '../../src/cli/published-trust.ts'
import { writeTrust } from '../../src/cli/trust-directory.ts'
import { eventually, remove } from '../support/sallyport.ts'
import type { Client } from './client.ts'
import { clientsOf, isMissing, PREPARING_MS, prepareClients } from './clients.ts'
import { proxiedEnvironment } from './environment.ts'
import { expectDone, expectRefused, KEY, type Stage, startStage } from './stage.ts'
import { hostOf, type ServiceName } from './upstream.ts'

let stage: Stage
let trust: TrustFiles

beforeAll(prepareClients, PREPARING_MS)

beforeAll(async () => {
  stage = await startStage({ listeners: [{ kind: 'forward', listen: '127.0.0.1:0' }], ca: { directory: 'ca' } })
  stage.upstream.publish(urlOf)
  trust = await writeTrust(readFileSync(join(stage.running.directory, 'ca/ca.pem'), 'utf8'), {})
})

afterAll(async () => {
  await stage?.close()
  if (trust) remove(dirname(trust.bundle))
})

function urlOf(service: ServiceName): string {
  return `https://${hostOf(service)}:${stage.upstream.port}`
}

function environmentWith(trust: TrustFiles | undefined) {
  const address = stage.running.doors[0]?.address ?? 'none'
  return (home: string) => proxiedEnvironment(home, { address, userinfo: `app:${KEY}`, trust })
}

describe.each(clientsOf('proxy'))('$name', (client) => {
  test.skipIf(isMissing(client))('asks for https:// within CONNECT, and its request goes out with ours', async () => {
    const ended = await stage.perform(client, urlOf(client.service), environmentWith(trust))
    expectDone(client, ended, stage.upstream)
  })

  test.skipIf(isMissing(client))(
    'the same with the files that the sidecar itself writes, as `env` names them',
    async () => {
      const { trust: published } = publishedTrust(join(stage.running.directory, 'ca/bundle.pem'), {})
      const ended = await stage.perform(client, urlOf(client.service), environmentWith(published))
      expectDone(client, ended, stage.upstream)
    },
  )

  test.skipIf(isMissing(client))('verifies TLS: it gives up where it does not trust our authority', async () => {
    const began = new Date().toISOString()
    const ended = await stage.perform(client, urlOf(client.service), environmentWith(undefined))
    expectRefused(ended, stage.upstream)
    // It got as far as TLS, and that it left was noticed: the handshake itself has longer than this.
    const ours = isTunnelOf(client)
    const look = async () => (await stage.running.audit(0)).find((one) => String(one['time']) >= began && ours(one))
    await eventually(look, 'the entry of a tunnel', 5_000)
  })
})

function isTunnelOf({ service }: Client) {
  return (entry: Record<string, unknown>) => entry['method'] === 'CONNECT' && entry['connection'] === service
}
