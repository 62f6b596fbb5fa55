import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { besiege, type Siege, valuesIn } from './siege.ts'

/** Section H of the catalogue: what becomes of a socket that is handed on. Ids are the catalogue's. */
let siege: Siege
const uid = process.getuid?.() ?? 0
/** Only root may become somebody else; without it the socket goes to another process of the same user. */
const OTHER_UID = 54_321
const BECOME = uid === 0 ? ['setpriv', `--reuid=${OTHER_UID}`, `--regid=${OTHER_UID}`, '--clear-groups', '--'] : []

beforeAll(async () => {
  siege = await besiege({
    settings: ({ connection }) => ({
      listeners: [{ kind: 'reverse', listen: 'unix:peer.sock', mode: '0666', connections: ['peer', 'other'] }],
      callers: { opener: { kind: 'unix-peer', uid }, holder: { kind: 'unix-peer', uid: OTHER_UID } },
      connections: { peer: connection('peer', ['ws.test']), other: connection('other', ['none.test']) },
      grants: [
        { caller: 'opener', connection: 'peer' },
        { caller: 'holder', connection: 'other' },
      ],
    }),
  })
})

afterAll(() => siege.end())

/** What a process of the other user is answered on a socket that this process has opened, and handed on. */
async function askHandedOn(path: string): Promise<string> {
  const socket = connect(siege.sallyport.doors[3]?.address.replace('unix:', '') ?? '')
  await once(socket, 'connect')
  const request = `GET ${path} HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n`
  const [command, ...args] = [...BECOME, 'sh', '-c', `id -u; printf '${request}' >&0; exec cat <&0`]
  const child = spawn(command, args, { stdio: [socket, 'pipe', 'inherit'] })
  socket.destroy()
  return text(child.stdout)
}

test('H18 a socket that was handed on speaks for who opened it, whoever holds it now', async () => {
  const answer = await askHandedOn('/peer/')
  expect(answer).toMatch(new RegExp(`^${uid === 0 ? OTHER_UID : uid}\\n`))
  expect(answer).toContain('HTTP/1.1 200 ')
  const head = siege.upstream.heads().at(-1) ?? ''
  expect(valuesIn(head, 'authorization')).toEqual([`Bearer ${siege.credentials['peer']}`])
})

test('H18 and each request on it needs a grant of its own: that of the holder is none', async () => {
  const before = siege.upstream.heads().length
  const answer = await askHandedOn('/other/')
  expect(answer).toContain('HTTP/1.1 403 ')
  expect(answer).toContain('"code":"grant-missing"')
  expect(siege.upstream.heads()).toHaveLength(before)
})
