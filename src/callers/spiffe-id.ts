/** A SPIFFE ID taken apart. `path` starts with "/". */
export interface SpiffeId {
  readonly text: string
  readonly trustDomain: string
  readonly path: string
}

const TRUST_DOMAIN = /^[a-z0-9._-]{1,255}$/
const ID = /^spiffe:\/\/([a-z0-9._-]{1,255})((?:\/[A-Za-z0-9._-]+)+)$/
const MAX_BYTES = 2048

/**
 * The ID of a workload, by the strict grammar: no port, no query, nothing percent-encoded, no empty or dotted segment, and a
 * path, because an ID without one is a trust domain's own. Undefined: it is none.
 * @see SPIFFE-ID section 2
 */
export function parseSpiffeId(text: string): SpiffeId | undefined {
  if (text.length > MAX_BYTES) return undefined
  const [, trustDomain, path] = ID.exec(text) ?? []
  if (trustDomain === undefined || path === undefined) return undefined
  return path.split('/').some((segment) => segment === '.' || segment === '..')
    ? undefined
    : { text, trustDomain, path }
}

/** Whether this is the name of a trust domain. */
export function isTrustDomain(text: string): boolean {
  return TRUST_DOMAIN.test(text)
}
