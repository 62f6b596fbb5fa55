import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Secret } from '../../src/core/secret.ts'
import { unpacked } from '../../src/credentials/login/content.ts'
import { openStore } from '../../src/store/open.ts'
import { storeSettings } from '../../src/store/registry.ts'
import { systemClock } from '../../src/wire/system-clock.ts'
import { linkOf } from '../support/browser.ts'
import { eventually, runCli, wholeLinesOf } from '../support/sallyport.ts'
import { type LoginSite, logIn, loginUrlIn, newBrowser, openLoginSite, runVerb } from './login-site.ts'

let site: LoginSite

beforeAll(async () => {
  site = await openLoginSite()
})

afterAll(() => site?.close())

/** Everything that was written down so far. */
function written(): string {
  return site.sallyport.output() + readFileSync(join(site.directory, 'audit.jsonl'), 'utf8')
}

function changes(): Record<string, unknown>[] {
  return wholeLinesOf(join(site.directory, 'audit.jsonl'))
    .map((line) => JSON.parse(line))
    .filter(({ action }) => action !== undefined)
}

describe('a connection where each caller has a login of its own', () => {
  test('tells a caller without one where to log in, in the words of Unity Catalog', async () => {
    const answer = await site.ask('ann-agent', 'own')
    expect(answer.status).toBe(403)
    const { code, detail } = JSON.parse(answer.text.slice(answer.text.indexOf('\r\n\r\n')))
    expect(code).toBe('login-required')
    expect(detail).toMatch(
      /^Credential for user identity\('ann-agent'\) is not found for the connection 'own'\. Please login first to the connection by visiting http:\/\/127\.0\.0\.1:\d+\/login\/own\?ticket=\S+$/,
    )
    expect(site.upstream.heads()).toEqual([])
  })

  test('acts for that person from then on, and for nobody else', async () => {
    const page = await logIn(loginUrlIn(await site.ask('ann-agent', 'own')), 'ann')
    expect([page.status, page.text]).toEqual([200, expect.stringContaining('<h1>Logged in</h1>')])
    expect((await site.ask('ann-agent', 'own')).status).toBe(200)
    expect(site.lastSubject()).toBe('ann')
    const other = await site.ask('bob-agent', 'own')
    expect(other.status).toBe(403)
    await logIn(loginUrlIn(other), 'bob')
    expect((await site.ask('bob-agent', 'own')).status).toBe(200)
    expect(site.lastSubject()).toBe('bob')
    await site.ask('ann-agent', 'own')
    expect(site.lastSubject()).toBe('ann')
  })

  test('refreshes by the token that was rotated, when the upstream rejects what it had', async () => {
    const before = site.issuer.tokenRequests()
    await site.ask('ann-agent', 'own', '/rejects')
    await eventually(() => site.issuer.tokenRequests() === before + 1 || undefined, 'a refresh')
    expect((await site.ask('ann-agent', 'own')).status).toBe(200)
    expect(site.lastSubject()).toBe('ann')
  })

  test('needs no login, and not even a refresh, after a restart', async () => {
    const before = site.issuer.tokenRequests()
    await site.restart()
    expect((await site.ask('ann-agent', 'own')).status).toBe(200)
    expect((await site.ask('bob-agent', 'own')).status).toBe(200)
    expect(site.lastSubject()).toBe('bob')
    expect(site.issuer.tokenRequests()).toBe(before)
  })

  test('is told for whom, and not begun for a caller that nobody is', async () => {
    const { stdout } = await runVerb(site, ['connection', 'show', 'own'])
    expect(stdout).toMatch(/^logged in +ann-agent \(ok\), bob-agent \(ok\)$/m)
    expect((await runVerb(site, ['login', 'own', '--no-browser'])).stderr).toContain('say whose, as --caller NAME')
    const mistyped = await runVerb(site, ['login', 'own', '--no-browser', '--caller', 'ann-agnet'])
    expect(mistyped.stderr).toContain('use the name of a caller: ann-agent, bob-agent')
    expect(mistyped.stderr).not.toContain('https:')
  })

  test('is refused at once after a logout, and only for that caller', async () => {
    const { code, stdout, stderr } = await runVerb(site, ['logout', 'own', '--caller', 'bob-agent'])
    expect([code, stdout]).toEqual([0, 'logged out of own for bob-agent\n'])
    expect(stderr).toContain('revoked at the authorization server; an access token may be good until it expires')
    expect((await site.ask('bob-agent', 'own')).status).toBe(403)
    expect((await site.ask('ann-agent', 'own')).status).toBe(200)
    expect((await runVerb(site, ['logout', 'own', '--caller', 'bob-agent'])).code).toBe(1)
    const why = ['why', 'http://own.test/1', '--live', '--caller', 'bob-agent']
    expect((await runVerb(site, why)).stderr).toContain('runs: sallyport login own --caller bob-agent\n')
  })

  test('is back to needing a login when the issuer has revoked the whole family of refresh tokens', async () => {
    const stolen = await keptRefreshToken('caller:ann-agent')
    await site.ask('ann-agent', 'own', '/rejects')
    await eventually(
      async () => !(await keptRefreshToken('caller:ann-agent'))?.equals(stolen as Secret) || undefined,
      'a rotation',
    )
    expect(await replay(stolen)).toContain('invalid_grant')
    await site.restart()
    // One whose token was rejected is minted for anew.
    await site.ask('ann-agent', 'own', '/rejects')
    await eventually(
      async () => (await keptRefreshToken('caller:ann-agent')) === undefined || undefined,
      'the login to be dropped',
    )
    const before = site.issuer.tokenRequests()
    await site.restart()
    const answer = await site.ask('ann-agent', 'own')
    expect([answer.status, loginUrlIn(answer)]).toEqual([403, expect.stringContaining('/login/own?ticket=')])
    expect(site.issuer.tokenRequests()).toBe(before)
    await logIn(loginUrlIn(answer), 'ann')
    expect((await site.ask('ann-agent', 'own')).status).toBe(200)
  })
})

describe('a connection with one login for all', () => {
  test('is logged in to at a terminal, by the address that a browser elsewhere ends at', async () => {
    const refused = await site.ask('ann-agent', 'all')
    expect(loginUrlIn(refused)).toMatch(/\/login\/all$/)
    let isAnswered = false
    const { code, stdout, stderr } = await runVerb(site, ['login', 'all', '--no-browser'], (said, input) => {
      const [, url] = /^ {2}(https:\S+)\n/m.exec(said) ?? []
      if (url === undefined || isAnswered) return
      isAnswered = true
      const browser = newBrowser()
      void browser
        .visit(url)
        .then((page) => browser.consent(page, 'robot', /^http:/))
        .then((page) => input(page.url.href))
    })
    expect([code, stdout]).toEqual([0, 'logged in to all\n'])
    expect(stderr).toContain(`this redirect URI, letter by letter: ${site.adminAddress}/login/all/callback\n`)
    for (const caller of ['ann-agent', 'bob-agent']) {
      expect((await site.ask(caller, 'all')).status).toBe(200)
      expect(site.lastSubject()).toBe('robot')
    }
  })

  test('is seen in the view of the connection, and so is that there is none', async () => {
    const { stdout } = await runVerb(site, ['connection', 'show', 'all'])
    expect(stdout).toMatch(/^login +ok, shared, 1 in use$/m)
    expect((await runVerb(site, ['connection', 'list'])).stdout).toMatch(/^brief .*needs-login/m)
    const why = ['why', 'http://brief.test/1', '--live', '--caller', 'ann-agent']
    expect((await runVerb(site, why)).stderr).toContain('until somebody runs: sallyport login brief')
    expect((await runVerb(site, ['logout', 'brief'])).stderr).toContain('There is no such login.')
  })

  test('is told by doctor, which spends no refresh token', async () => {
    const before = site.issuer.tokenRequests()
    const { stdout } = await runCli(['doctor', '--config', join(site.directory, 'sallyport.yaml')])
    expect(stdout).toMatch(/connection brief.*nobody has logged in for it/)
    expect(stdout).toContain('sallyport login brief')
    expect(stdout).toMatch(/all login\.test:\d+.*its refresh token is the sidecar/)
    expect(site.issuer.tokenRequests()).toBe(before)
  })

  test('is logged in to by a browser that the verb opens, and waits for', async () => {
    let isAnswered = false
    const { code, stdout, stderr } = await runVerb(site, ['login', 'all', '--json'], (said) => {
      const [, url] = /^ {2}(http:\S+)\n/m.exec(said) ?? []
      if (url === undefined || isAnswered) return
      isAnswered = true
      void logIn(url, 'second-robot')
    })
    expect([code, JSON.parse(stdout)]).toMatchObject([0, { createdBy: 'ops', state: 'ok' }])
    expect(stderr).toContain(`letter by letter: ${site.adminAddress}/login/all/callback\n`)
    await site.ask('bob-agent', 'all')
    expect(site.lastSubject()).toBe('second-robot')
  })
})

describe('a login that is not as it should be', () => {
  test('without a refresh token is refused, with the remedy', async () => {
    const begun = await begin('brief')
    const page = await logIn(begun, 'ann')
    expect(page.status).toBe(409)
    expect(page.text).toContain('offline_access')
    expect((await site.ask('ann-agent', 'brief')).status).toBe(403)
  })

  test('that was refused at the issuer says so', async () => {
    const browser = newBrowser()
    const asked = await browser.visit(linkOf(await browser.visit(await begin('brief'))))
    const [, abort = ''] = /href="([^"]*\/abort)"/.exec(asked.text) ?? []
    const page = await browser.visit(new URL(abort, asked.url).href)
    expect([page.status, page.text]).toEqual([
      409,
      expect.stringContaining('the consent was refused there (access_denied)'),
    ])
  })

  test('is not finished by another browser than the one that began it, nor twice', async () => {
    const mine = newBrowser()
    const asked = await mine.visit(linkOf(await mine.visit(await begin('brief'))))
    const { url } = await mine.consent(asked, 'mallory', /\/callback\?/)
    const elsewhere = await newBrowser().visit(url.href)
    expect([elsewhere.status, elsewhere.text]).toEqual([403, expect.stringContaining('Not begun in this browser')])
    expect((await mine.visit(url.href)).status).toBe(409)
    expect((await mine.visit(url.href)).status).toBe(403)
  })

  test('is not begun by a link that was changed, or is for another connection', async () => {
    const link = loginUrlIn(await site.ask('bob-agent', 'own'))
    const [said = '', mac = ''] = (new URL(link).searchParams.get('ticket') ?? '').split('.')
    const changed = Buffer.from(Buffer.from(said, 'base64url').toString().replaceAll('bob-agent', 'ann-agent'))
    for (const bad of [
      link.replace(said, changed.toString('base64url')),
      link.replace('/login/own?', '/login/all?'),
      link.replace(mac, ''),
      `${site.adminAddress}/login/own?ticket=x`,
    ]) {
      const page = await newBrowser().visit(bad)
      expect([page.status, linkOf(page)]).toEqual([403, ''])
      expect(page.headers['set-cookie']).toBeUndefined()
    }
  })

  test('of an operator is not finished by the code of another login', async () => {
    const { status } = await admin('POST', '/v1/connections/brief/login/finish', { state: 'x', answer: 'a-code' })
    expect(status).toBe(409)
  })
})

describe('the pages', () => {
  test('run nothing, are framed by nobody, and say whom the link was made for', async () => {
    const link = loginUrlIn(await site.ask('bob-agent', 'own'))
    const page = await newBrowser().visit(link)
    expect(page.text).toContain('This link was made for: caller bob-agent.')
    expect(page.headers['content-security-policy']).toMatch(/default-src 'none'.*frame-ancestors 'none'/)
    expect(page.headers).toMatchObject({ 'referrer-policy': 'no-referrer', 'cache-control': 'no-store' })
    expect(String(page.headers['set-cookie'])).toMatch(/HttpOnly; SameSite=Lax; Path=\/login\/own; Max-Age=600$/)
    expect(page.text).not.toMatch(/<script|<form/)
  })

  test.each(['/login/nothing', '/login/nothing/callback?state=x', '/login/all/callback?state=x&code=y', '/login/all'])(
    '%s leads nowhere',
    async (path) => {
      const page = await newBrowser().visit(site.adminAddress + path)
      expect(linkOf(page)).toBe('')
      expect(page.headers['set-cookie']).toBeUndefined()
    },
  )

  test.each([
    { 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'no-cors', 'Sec-Fetch-Dest': 'image' },
    { 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'navigate', 'Sec-Fetch-Dest': 'iframe' },
    { Origin: 'https://evil.test' },
    { Host: 'evil.test' },
  ])('are not part of anybody else’s page: %j', async (headers) => {
    expect([403, 421]).toContain((await admin('GET', '/login/all', undefined, headers)).status)
  })
})

test('who logged in and out, and for whom, is in the audit', () => {
  const rows = changes().map(({ action, subject, operator, code }) => [action, subject, operator, code])
  expect(rows).toContainEqual(['login.add', 'own ann-agent', 'caller ann-agent', undefined])
  expect(rows).toContainEqual(['login.remove', 'own bob-agent', 'ops', undefined])
  expect(rows).toContainEqual(['login.add', 'all', 'ops', undefined])
  expect(rows).toContainEqual(['login.add', 'brief', 'ops', 'login-failed'])
})

test('no code, state, token or ticket is in a log or in the audit', async () => {
  const kept = await keptRefreshToken('caller:ann-agent')
  expect(kept).toBeInstanceOf(Secret)
  const all = written()
  expect(all).not.toContain(kept?.reveal())
  expect(all).not.toMatch(/code=|state=|ticket=|eyJ[\w-]+\./)
})

test('where nobody is logged in any more, doctor says for whom to ask', async () => {
  await runVerb(site, ['logout', 'own', '--caller', 'ann-agent'])
  const { stdout } = await runCli(['doctor', '--config', join(site.directory, 'sallyport.yaml')])
  expect(stdout).toMatch(/connection own: nobody has logged in for it\n +sallyport login own --caller NAME\n/)
})

/** The page of a login that the operator begins. */
async function begin(connection: string): Promise<string> {
  const { json } = await admin('POST', `/v1/connections/${connection}/login`, {})
  return json['url'] ?? ''
}

async function admin(
  method: string,
  path: string,
  body?: object,
  headers: Readonly<Record<string, string>> = {},
): Promise<{ status: number; json: Record<string, string> }> {
  const { adminAddress, directory } = site
  const { sendRaw } = await import('../support/raw-client.ts')
  const text = body === undefined ? '' : JSON.stringify(body)
  const all = {
    Host: 'localhost',
    Authorization: `Bearer ${readFileSync(join(directory, 'operator'), 'utf8')}`,
    Connection: 'close',
    ...(body && { 'Content-Type': 'application/json', 'Content-Length': String(text.length) }),
    ...headers,
  }
  const head = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  const answer = await sendRaw(adminAddress.slice(7), `${method} ${path} HTTP/1.1\r\n${head.join('')}\r\n${text}`)
  const said = answer.text.slice(answer.text.indexOf('\r\n\r\n') + 4)
  return { status: answer.status, json: said.startsWith('{') ? JSON.parse(said) : {} }
}

/** What is kept of a login of `own`, read as another instance would. */
async function keptRefreshToken(identity: string): Promise<Secret | undefined> {
  const key = Buffer.alloc(32, 7).toString('base64')
  const store = await openStore(
    storeSettings.parse({ kind: 'sqlite', path: 'store/logins.db', key: { file: 'store-key' } }),
    {
      references: { secret: () => ({ current: () => ({ secret: new Secret(key), version: 1 }) }), file: () => '' },
      clock: systemClock,
      directory: site.directory,
      onFault: () => undefined,
    },
  )
  try {
    const kept = await store.logins.open({ connection: 'own', identity })
    return kept && unpacked(kept.content).refreshToken
  } finally {
    await store.close()
  }
}

/** Shows a refresh token that was rotated, as a thief would. */
async function replay(token: Secret | undefined): Promise<string> {
  const { default: https } = await import('node:https')
  const { text } = await import('node:stream/consumers')
  const { authority } = await import('./crm.ts')
  const body = new URLSearchParams({ grant_type: 'refresh_token', refresh_token: token?.reveal() ?? '' }).toString()
  return new Promise((resolve, reject) => {
    https
      .request(
        {
          host: '127.0.0.1',
          servername: 'login.test',
          port: site.issuer.port,
          path: '/token',
          method: 'POST',
          ca: authority.certPem,
          agent: false,
          headers: {
            Host: `login.test:${site.issuer.port}`,
            Authorization: `Basic ${Buffer.from('own:secret-of-the-client').toString('base64')}`,
            'Content-Type': 'application/x-www-form-urlencoded',
          },
        },
        (response) => resolve(text(response)),
      )
      .on('error', reject)
      .end(body)
  })
}
