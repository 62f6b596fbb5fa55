import { afterAll, beforeAll, describe, test } from 'vitest'
import { clientsOf, isMissing, PREPARING_MS, prepareClients } from './clients.ts'
import { proxiedEnvironment } from './environment.ts'
import { expectDone, expectRefused, KEY, type Stage, startStage } from './stage.ts'
import { hostOf } from './upstream.ts'

let stage: Stage

beforeAll(prepareClients, PREPARING_MS)

beforeAll(async () => {
  stage = await startStage({ listeners: [{ kind: 'forward', listen: '127.0.0.1:0' }] })
  stage.upstream.publish((service) => `http://${hostOf(service)}`)
})

afterAll(() => stage?.close())

function environmentWith(key: string) {
  const address = stage.running.doors[0]?.address ?? 'none'
  return (home: string) => proxiedEnvironment(home, { address, userinfo: `app:${key}` })
}

describe.each(clientsOf('proxy'))('$name', (client) => {
  const url = `http://${hostOf(client.service)}`

  test.skipIf(isMissing(client))('asks a proxy for http://, and its request goes out as ours over TLS', async () => {
    const ended = await stage.perform(client, url, environmentWith(KEY))
    expectDone(client, ended, stage.upstream)
  })

  test.skipIf(isMissing(client))('gives up where its key is wrong', async () => {
    const ended = await stage.perform(client, url, environmentWith('wrong'))
    expectRefused(ended, stage.upstream)
  })
})
