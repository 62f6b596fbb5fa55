import { describe, expect, test } from 'vitest'
import { AdminDoor } from '../../src/admin/admin-door.ts'
import { LoginLinks } from '../../src/admin/login-links.ts'
import { htmlOf } from '../../src/admin/login-page.ts'
import type { LoginDesk } from '../../src/credentials/login/desk.ts'
import { identityFor } from '../../src/credentials/login/identity.ts'
import { sendRaw } from '../support/raw-client.ts'
import { openTestDoor } from './door.ts'

/** What the door answers to a browser that comes from elsewhere, at a name of its own. */
async function visit(path: string, fields: readonly string[], method = 'GET'): Promise<number> {
  const { ports } = await openTestDoor()
  const options = { listen: '127.0.0.1:0', mode: '0600', directory: '/', peers: undefined }
  const door = new AdminDoor(ports, { ...options, hostnames: ['sallyport.example.com'] })
  try {
    const head = [`${method} ${path} HTTP/1.1`, ...fields, 'Connection: close'].map((line) => `${line}\r\n`)
    return (await sendRaw(await door.open(), `${head.join('')}\r\n`)).status
  } finally {
    await door.close()
  }
}

const OURS = 'Host: sallyport.example.com'
const WHOLE = ['Sec-Fetch-Site: cross-site', 'Sec-Fetch-Mode: navigate', 'Sec-Fetch-Dest: document']

describe('a browser from another site', () => {
  test('may come to the pages of logins as a whole page, under the name of admin.url', async () => {
    expect(await visit('/login/crm', [OURS, ...WHOLE])).toBe(404)
    expect(await visit('/login/crm/callback?state=x', [OURS, ...WHOLE])).toBe(404)
  })

  test.each<[string, string, readonly string[], string?]>([
    ['to the API', '/v1/connections', [OURS, ...WHOLE]],
    ['to something that only begins like it', '/loginx', [OURS, ...WHOLE]],
    ['by a form', '/login/crm', [OURS, ...WHOLE], 'POST'],
    ['with an origin', '/login/crm', [OURS, 'Origin: https://evil.test', ...WHOLE]],
    ['for a frame', '/login/crm', [OURS, WHOLE[0] ?? '', WHOLE[1] ?? '', 'Sec-Fetch-Dest: iframe']],
    ['for a script', '/login/crm', [OURS, WHOLE[0] ?? '', 'Sec-Fetch-Mode: no-cors', 'Sec-Fetch-Dest: script']],
  ])('may not come %s', async (_what, path, fields, method) => {
    expect(await visit(path, fields, method)).toBe(403)
  })

  test('may not come under any other name', async () => {
    expect(await visit('/login/crm', ['Host: evil.test', ...WHOLE])).toBe(421)
  })
})

describe('a link', () => {
  test('is good for its connection, for an hour, and for the process that made it', () => {
    let now = 0
    const links = new LoginLinks({ now: () => now })
    links.open('https://sallyport.example.com')
    const url = new URL(links.forCaller('crm', 'corp/ann "x"'))
    const ticket = url.searchParams.get('ticket') ?? ''
    expect(url.pathname).toBe('/login/crm')
    expect(links.read(ticket, 'crm')).toMatchObject({ caller: 'corp/ann "x"', by: 'caller corp/ann "x"' })
    expect(links.read(ticket, 'maps')).toBeUndefined()
    expect(new LoginLinks({ now: () => 0 }).read(ticket, 'crm')).toBeUndefined()
    for (const bad of ['', '.', ticket.slice(1), `${ticket}x`, `${ticket}.x`, ticket.split('.')[0] ?? ''])
      expect(links.read(bad, 'crm')).toBeUndefined()
    now = 3_600_000
    expect(links.read(ticket, 'crm')).toBeUndefined()
  })

  test('to what is everybody’s lets nobody log in by itself', () => {
    const links = new LoginLinks({ now: () => 0 })
    links.open('http://127.0.0.1:15090')
    expect(links.forCaller('crm', undefined)).toBe('http://127.0.0.1:15090/login/crm')
    expect(links.callback('crm')).toBe('http://127.0.0.1:15090/login/crm/callback')
  })
})

/** Where everybody may log in: each caller for itself, and nobody is asked anything. */
function openDesk(begun: unknown[] = []): LoginDesk {
  return {
    identity: 'per-caller',
    isByCaller: true,
    placeOf: (caller) => ({ connection: 'crm', identity: identityFor(caller, 'per-caller') }),
    begin: async ({ caller }) => {
      begun.push(caller)
      return { url: 'https://login.test/', state: `s${begun.length}`, expiresAt: 0 }
    },
    isOpen: () => true,
    finish: async (_answer, { by }) => ({
      id: '1',
      connection: 'crm',
      identity: 'caller:ann',
      isAlive: true,
      expiresAt: undefined,
      createdAt: 0,
      createdBy: by,
    }),
    logout: () => expect.unreachable(),
    revoke: () => expect.unreachable(),
    stateFor: () => 'needs-login',
    list: () => [],
  }
}

test('a link is good for one login', async () => {
  const desk = openDesk()
  const { address, ports } = await openTestDoor({ over: { desks: () => new Map([['crm', desk]]) } })
  ports.links.open(`http://${address}`)
  const link = ports.links.link({ connection: 'crm', caller: 'ann', by: 'ops' })
  const begin = async () => {
    const answer = await fetch(link)
    return { status: answer.status, cookie: answer.headers.getSetCookie()[0]?.split(';', 1)[0] ?? '' }
  }
  const finish = async (state: string, cookie: string) =>
    (await fetch(`${ports.links.callback('crm')}?state=${state}&code=c`, { headers: { cookie } })).status
  const [first, second] = [await begin(), await begin()]
  expect([first.status, second.status]).toEqual([200, 200])
  expect(await finish('s1', first.cookie)).toBe(200)
  // Neither begun anew, nor where it was begun before.
  expect([(await begin()).status, await finish('s2', second.cookie)]).toEqual([403, 403])
})

test('a link of a caller that was removed is not the next one’s of its name', async () => {
  const begun: unknown[] = []
  const desk = openDesk(begun)
  const { address, store, ports } = await openTestDoor({ over: { desks: () => new Map([['crm', desk]]) } })
  ports.links.open(`http://${address}`)
  const key = { digest: 'a'.repeat(64), expiresAt: undefined }
  await store.addCaller({ name: 'ann', createdBy: 'ops' }, key)
  const link = ports.links.forCaller('crm', 'ann')
  const visited = async () => (await fetch(link)).status
  expect(await visited()).toBe(200)
  await store.removeCaller('ann')
  expect(await visited()).toBe(403)
  await new Promise((resolve) => setTimeout(resolve, 2))
  await store.addCaller({ name: 'ann', createdBy: 'ops' }, key)
  expect(await visited()).toBe(403)
  expect(begun).toEqual(['ann'])
})

test('a page says what it is given as text, and nothing else', () => {
  const html = htmlOf({ title: '<b>', lines: [`"'&\u202e`], link: { href: 'https://a.test/?a=1&b="', text: '<' } })
  expect(html).toContain('<h1>&lt;b&gt;</h1>\n<p>&quot;&#39;&amp;?</p>')
  expect(html).toContain('href="https://a.test/?a=1&amp;b=&quot;"')
})
