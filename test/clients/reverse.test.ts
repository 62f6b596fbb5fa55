import { join } from 'node:path'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { clientsOf, isMissing, PREPARING_MS, prepareClients } from './clients.ts'
import { bareEnvironment } from './environment.ts'
import { expectDone, expectRefused, KEY, type Stage, startStage } from './stage.ts'
import type { ServiceName } from './upstream.ts'

let stage: Stage

beforeAll(prepareClients, PREPARING_MS)

beforeAll(async () => {
  stage = await startStage({
    listeners: [
      { kind: 'reverse', listen: '127.0.0.1:0' },
      { kind: 'reverse', listen: 'unix:api.sock', connection: 'api' },
    ],
  })
  stage.upstream.publish(urlOf)
})

afterAll(() => stage?.close())

function urlOf(service: ServiceName): string {
  return `http://${stage.running.doors[0]?.address}/${service}`
}

function environmentWith(key: string) {
  return (home: string) => ({ ...bareEnvironment(home), API_KEY: key })
}

describe.each(clientsOf('reverse'))('$name', (client) => {
  test.skipIf(isMissing(client))(
    'shows its key at a base URL, and its request goes out with ours instead',
    async () => {
      const ended = await stage.perform(client, urlOf(client.service), environmentWith(KEY))
      expectDone(client, ended, stage.upstream)
    },
  )

  test.skipIf(isMissing(client))('gives up where its key is wrong', async () => {
    const ended = await stage.perform(client, urlOf(client.service), environmentWith('wrong'))
    expectRefused(ended, stage.upstream)
  })
})

describe.each(clientsOf('socket'))('$name', (client) => {
  const url = 'http://localhost'

  function environmentOf(home: string): Record<string, string> {
    return { ...environmentWith(KEY)(home), API_SOCKET: join(stage.running.directory, 'api.sock') }
  }

  test.skipIf(isMissing(client))(
    'shows its key at a Unix socket, and its request goes out with ours instead',
    async () => {
      const ended = await stage.perform(client, url, environmentOf)
      expectDone(client, ended, stage.upstream)
    },
  )
})
