/** A name server. */
export interface Resolver {
  /** Without brackets, and without a zone. */
  readonly address: string
  readonly port: number
}

/** One as settings write it: `address`, `address:port` or `[v6]:port`. */
export function resolverOf(text: string): Resolver {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]+))(?::([0-9]{1,5}))?$/.exec(text) ?? []
  const [address = ''] = (bracketed ?? plain ?? text).split('%')
  return { address, port: Number(port ?? 53) }
}
