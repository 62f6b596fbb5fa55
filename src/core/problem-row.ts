/** Who has to do something about it; picks the log level. */
export type Blame = 'caller' | 'operator' | 'upstream' | 'proxy'

/** What is said of one code. */
export interface ProblemRow {
  readonly status: number
  readonly title: string
  readonly blame: Blame
  /** Error type of the Proxy-Status field. @see RFC 9209 section 2.3 */
  readonly proxyError: string
  /** What to do about it, for whoever reads the answer. Static text: nothing of a request or an issuer is echoed. */
  readonly remedy: string
}
