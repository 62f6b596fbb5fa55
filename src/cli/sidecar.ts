/** A sidecar that a child is to use. */
export interface Sidecar {
  /** `host:port` of its forward door. */
  readonly address: string
  /** `name:key`, fit for a URL. */
  readonly userinfo: string
  /** PEM of the authority that answers for intercepted hosts. */
  readonly certificatePem: string | undefined
  /** Environment variables that the child gets instead of what they are said to hold. */
  readonly placeholders: Readonly<Record<string, string>>
  /** Environment variables that the child does not get: they hold what the sidecar injects. */
  readonly withheld: readonly string[]
  /** Host patterns that ought to come its way. */
  readonly hosts: readonly string[]
  /** What it refused so far, in lines for people. */
  refusals(): readonly string[]
  /** Lets what is in flight finish, for a moment, and writes out the audit. */
  close(): Promise<void>
}

/** A caller's proof as the userinfo of a proxy URL. Every client sends the two of them, and few send one alone. */
export function userinfoOf(name: string, key: string): string {
  return `${encodeURIComponent(name)}:${encodeURIComponent(key)}`
}
