/** oidc-provider brings no types along; this is the little that the tests use of it. */
declare module 'oidc-provider' {
  import type { IncomingMessage, ServerResponse } from 'node:http'

  export const errors: {
    readonly InvalidTarget: new () => Error
    readonly InvalidGrant: new (detail: string) => Error
  }

  /** As much of a token request as a grant of one's own needs. */
  export interface GrantContext {
    readonly oidc: {
      readonly client?: { readonly clientId: string }
      readonly params?: Readonly<Record<string, unknown>>
    }
    body: unknown
  }

  export class Provider {
    constructor(issuer: string, configuration: object)
    registerGrantType(
      name: string,
      handler: (context: GrantContext) => Promise<void>,
      parameters: readonly string[],
    ): void
    callback(): (request: IncomingMessage, response: ServerResponse) => void
  }
}
