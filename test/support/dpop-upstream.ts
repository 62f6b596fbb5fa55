import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createSecureServer, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { calculateJwkThumbprint, createLocalJWKSet, EmbeddedJWK, jwtVerify } from 'jose'
import type { Identity } from './certificates.ts'

/** What a protected resource saw of one request: how it was judged, and what was shown. */
export interface Judged {
  /** '' where everything was in order; else the error of the challenge and what was wrong, in words. */
  readonly wrong: string
  readonly method: string
  /** What it was addressed as. */
  readonly authority: string
  readonly path: string
  readonly version: string
  readonly proof: string
  readonly token: string
  /** What has come of its body so far; a request that was refused was answered without waiting for it. */
  body(): string
}

/** What a proof is verified against. */
type Asked = Pick<Judged, 'authority' | 'method' | 'path' | 'proof' | 'token'>

interface NonceTerms {
  /** What it says in place of the nonce that it wants; '' is nothing. */
  readonly said?: () => string
  /** Refuses a request before its body has come. */
  readonly isHasty?: boolean
}

/** A protected resource that verifies tokens and proofs as RFC 9449 section 4.3 says, over HTTP/1.1 and HTTP/2; below /mint it gives tokens. */
export interface DpopUpstream {
  readonly port: number
  readonly seen: readonly Judged[]
  /** The nonce that proofs must have from now on; undefined: none is wanted. */
  wantNonce(nonce: string | undefined, terms?: NonceTerms): void
  /** Judges a request that somebody else makes of what it has seen. */
  judge(request: Asked): Promise<string>
  stop(): Promise<void>
}

interface Terms {
  readonly identity: Identity
  readonly jwks: string
  readonly audience: string
}

/** Starts it on 127.0.0.1, on a free port. */
export async function startDpopUpstream({ identity, jwks, audience }: Terms): Promise<DpopUpstream> {
  const seen: Judged[] = []
  const jtis = new Set<string>()
  const keys = createLocalJWKSet(JSON.parse(jwks))
  let nonce: string | undefined
  let terms: NonceTerms = {}

  async function judge({ authority, method, path, proof, token }: Asked) {
    const { payload: access } = await jwtVerify(token, keys, { audience })
    const { payload, protectedHeader } = await jwtVerify(proof, EmbeddedJWK, { typ: 'dpop+jwt', maxTokenAge: 60 })
    const print = await calculateJwkThumbprint(protectedHeader.jwk ?? {})
    const { jkt } = (access['cnf'] ?? {}) as { jkt?: string } // a member that only this server reads
    if (jkt !== print) return 'invalid_token: bound to another key'
    if (payload['ath'] !== createHash('sha256').update(token).digest('base64url')) return 'invalid_dpop_proof: ath'
    if (payload['htm'] !== method) return 'invalid_dpop_proof: htm'
    if (payload['htu'] !== new URL(path.split('?', 1)[0] ?? '', `https://${authority}`).href)
      return 'invalid_dpop_proof: htu'
    if (nonce !== undefined && payload['nonce'] !== nonce) return 'use_dpop_nonce: nonce'
    const { jti = '' } = payload
    if (jti === '' || jtis.has(jti)) return 'invalid_dpop_proof: jti'
    jtis.add(jti)
    return ''
  }

  async function serve(request: Http2ServerRequest, response: Http2ServerResponse): Promise<void> {
    let body = ''
    request.on('data', (chunk: Buffer) => (body += chunk.toString()))
    const ended = new Promise((resolve) => request.once('end', resolve))
    const { method, url: path, headers, httpVersion: version } = request
    const [, token = ''] = /^DPoP (\S+)$/.exec(headers.authorization ?? '') ?? []
    const proof = String(headers['dpop'])
    const authority = String(headers[':authority'] ?? headers.host)
    const asked = { authority, method, path, proof, token }
    const wrong = await judge(asked).catch((error: unknown) => `invalid_token: ${String(error)}`)
    seen.push({ ...asked, wrong, version, body: () => body })
    const said = terms.said?.() ?? nonce
    if (said) response.setHeader('DPoP-Nonce', said)
    if (wrong !== '') response.setHeader('WWW-Authenticate', `DPoP error="${wrong.split(':', 1)[0]}", algs="ES256"`)
    if (wrong === '' || !terms.isHasty) await ended
    if (wrong === '') {
      const answer = path.startsWith('/mint') ? '{"token":"minted"}' : 'ok'
      response.writeHead(200, { 'content-length': String(answer.length) }).end(answer)
    } else response.writeHead(401, { 'content-length': '2' }).end('no')
  }

  const server = createSecureServer({ ...identity, allowHTTP1: true }, (request, response) => {
    void serve(request, response)
  })
  server.on('sessionError', () => undefined)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo // a TCP server has an address of this form
  const sessions = new Set<{ destroy(): void }>()
  server.on('session', (session) => sessions.add(session)).on('secureConnection', (socket) => sessions.add(socket))
  return {
    port,
    seen,
    wantNonce: (wanted, wantedTerms = {}) => {
      nonce = wanted
      terms = wantedTerms
    },
    judge: (request) => judge(request).catch((error: unknown) => String(error)),
    async stop() {
      for (const session of sessions) session.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
