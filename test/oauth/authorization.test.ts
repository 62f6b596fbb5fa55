import { createHash } from 'node:crypto'
import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { authorizationRequest, codeIn } from '../../src/oauth/authorization.ts'

const ISSUER = 'https://login.test/tenant'
const CANARY = 'CODE_CANARY'
const server = { issuer: ISSUER, authorization_endpoint: 'https://login.test/authorize?tenant=7' }
const wish = {
  server,
  clientId: 'my-app',
  redirectUri: 'http://127.0.0.1:1/login/crm/callback',
  scope: 'openid offline_access',
  parameters: { access_type: 'offline', prompt: 'consent' },
  plaintext: false,
}

describe('the request', () => {
  test('has what the settings say, PKCE by S256, and keeps the query of the endpoint', () => {
    const { url, state, verifier } = authorizationRequest(wish)
    const { searchParams } = new URL(url)
    expect(Object.fromEntries(searchParams)).toEqual({
      tenant: '7',
      access_type: 'offline',
      prompt: 'consent',
      response_type: 'code',
      client_id: 'my-app',
      redirect_uri: wish.redirectUri,
      scope: 'openid offline_access',
      state,
      code_challenge: createHash('sha256').update(verifier.reveal()).digest('base64url'),
      code_challenge_method: 'S256',
    })
    expect(verifier.reveal()).toMatch(/^[\w-]{43}$/)
  })

  test('is another one each time', () => {
    const [one, two] = [authorizationRequest(wish), authorizationRequest(wish)]
    expect(one.state).not.toBe(two.state)
    expect(one.verifier.equals(two.verifier)).toBe(false)
  })

  test.each([
    ['names no endpoint', { issuer: ISSUER }, /name no authorization endpoint/],
    [
      'names one at http://',
      { ...server, authorization_endpoint: 'http://login.test/a' },
      /name no authorization endpoint/,
    ],
    [
      'knows PKCE by plain alone',
      { ...server, code_challenge_methods_supported: ['plain'] },
      /does not take PKCE by S256/,
    ],
  ])('is not made where the issuer %s', (_what, metadata, expected) => {
    expect(() => authorizationRequest({ ...wish, server: metadata })).toThrow(expected)
  })
})

describe('the answer', () => {
  const strict = { ...server, authorization_response_iss_parameter_supported: true }
  const read = (query: string, issuer: string | undefined = ISSUER, from: object = server) =>
    codeIn(new URLSearchParams(query), { server: { issuer: ISSUER, ...from }, issuer, redirectUri: wish.redirectUri })

  test('gives its code, which is printed nowhere', () => {
    const code = read(`code=${CANARY}`)
    expect([code.reveal(), inspect(code)]).toEqual([CANARY, '[secret]'])
    expect(read(`code=x&iss=${encodeURIComponent(ISSUER)}`, ISSUER, strict).reveal()).toBe('x')
  })

  test.each([
    ['of another issuer', 'code=x&iss=https://evil.test', strict, /of another issuer/],
    ['of another issuer, with an error', 'error=access_denied&iss=https://evil.test', server, /of another issuer/],
    [
      'of an issuer that is spelt otherwise',
      `code=x&iss=${encodeURIComponent(`${ISSUER}/`)}`,
      server,
      /of another issuer/,
    ],
    ['without the issuer that is always there', 'code=x', strict, /does not say which issuer/],
    ['with two codes', 'code=x&code=y', server, /code more than once/],
    ['with two issuers', `code=x&iss=${ISSUER}&iss=https://evil.test`, server, /iss more than once/],
    ['without a code', 'state=x', server, /no code in it/],
    ['with an empty code', 'code=', server, /no code in it/],
    ['that is a no', 'error=access_denied', server, /the consent was refused there \(access_denied\)$/],
    ['of an administrator', 'error=admin_policy_enforced', server, /administrator of the issuer/],
    [
      'about the redirect URI',
      'error=redirect_uri_mismatch',
      server,
      /register exactly http:\/\/127\.0\.0\.1:1\/login\/crm\/callback there$/,
    ],
    ['about the scope', 'error=invalid_scope', server, /compare `scope`/],
    [
      'about something unheard of',
      `error=${CANARY}&error_description=${CANARY}`,
      server,
      /for a reason that is in no standard$/,
    ],
    ['about something that objects have', 'error=constructor', server, /for a reason that is in no standard$/],
  ])('%s is refused', (_what, query, from, expected) => {
    const attempt = () => read(query, ISSUER, from)
    expect(attempt).toThrow(expected)
    expect(attempt).not.toThrow(CANARY)
  })
})
