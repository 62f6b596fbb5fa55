import { expect, test } from 'vitest'
import { buildClientProof, clientAuthKinds } from '../../src/oauth/client-auth/registry.ts'
import type { BasicEncoding } from '../../src/oauth/client-auth/secret-text.ts'
import { slotsOf } from '../../src/oauth/client-secret.ts'
import { makeSourceTools, theSecret } from '../support/source-tools.ts'

interface Style {
  readonly clientAuth: 'header' | 'body' | 'header-and-body' | 'none'
  readonly basicEncoding: BasicEncoding
}

/** What one request shows. */
function shown(
  secret: string,
  { clientAuth: kind = 'header', basicEncoding = 'rfc6749' }: Partial<Style>,
  clientId = 'my-app',
) {
  const body = new URLSearchParams()
  const headers = new Headers()
  const { tools } = makeSourceTools({ secret })
  const clientSecret = clientAuthKinds[kind].showsSecret ? slotsOf(theSecret, tools) : undefined
  const proof = buildClientProof({ kind }, { ...tools, clientId, basicEncoding, clientSecret })
  const server = { issuer: 'https://login.test' }
  const presentations = proof.presentations(server)
  if (presentations instanceof Promise) throw new Error('these ways have nothing to wait for')
  void presentations[0]?.authenticate(server, { client_id: clientId }, body, headers)
  const basic = headers.get('authorization')?.slice('Basic '.length)
  return { basic: basic && Buffer.from(basic, 'base64').toString(), body: body.toString() }
}

test('a public client shows its id alone', () => {
  expect(shown('', { clientAuth: 'none' })).toEqual({ basic: undefined, body: 'client_id=my-app' })
})

test('shows the secret in the header alone', () => {
  expect(shown('s3cret', { clientAuth: 'header' })).toEqual({ basic: 'my-app:s3cret', body: '' })
})

test('shows the secret in the body alone', () => {
  expect(shown('s3 cret', { clientAuth: 'body' })).toEqual({
    basic: undefined,
    body: 'client_id=my-app&client_secret=s3+cret',
  })
})

test('shows the secret in both places', () => {
  expect(shown('s3cret', { clientAuth: 'header-and-body' })).toEqual({
    basic: 'my-app:s3cret',
    body: 'client_id=my-app&client_secret=s3cret',
  })
})

test('d.0: form-encodes id and secret for Basic, and leaves -_.~ as they are', () => {
  const { basic } = shown("a:b+c%d e/!'()*-_.~", {}, '0oa-1_2.b~')
  expect(basic).toBe('0oa-1_2.b~:a%3Ab%2Bc%25d%20e%2F%21%27%28%29%2A-_.~')
})

test('d.0: sends id and secret as they are to servers that do not decode', () => {
  expect(shown('a:b+c%d e', { basicEncoding: 'raw' }).basic).toBe('my-app:a:b+c%d e')
})

test('refuses an empty secret, by the name of its place', () => {
  expect(() => shown('', {})).toThrow(/^credential-failed: the client secret of \S+ is empty: write the secret there$/)
})

test.each(['line\n', 'two\nlines', 'tab\t', '\uFEFFs3cret', 'é', 'nul\0'])(
  'refuses the secret %j, without repeating it',
  (secret) => {
    const attempt = () => shown(secret, {})
    expect(attempt).toThrow(expect.objectContaining({ code: 'credential-failed', retryAfter: undefined }))
    expect(attempt).toThrow(/printable ASCII/)
  },
)
