import { NAMESPACE, SERVICE_ACCOUNT } from './kubernetes-settings.ts'
import type { Members } from './token.ts'

/** The service account that a token is for, and where its pod runs. */
export interface Account {
  /** `system:serviceaccount:NAMESPACE:NAME` */
  readonly username: string
  readonly namespace: string
  readonly name: string
  readonly pod: string | undefined
  readonly node: string | undefined
}

/**
 * The account that claims name; undefined: none. What `sub` says and what the cluster's own claim says have to be one.
 * @see https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#schema-for-service-account-private-claims
 */
export function accountIn(claims: Members): Account | undefined {
  const username = claims.get('sub')
  if (typeof username !== 'string') return undefined
  const [system, sort, namespace = '', name = '', ...rest] = username.split(':')
  const isAccount = system === 'system' && sort === 'serviceaccount' && rest.length === 0
  if (!isAccount || !NAMESPACE.test(namespace) || !SERVICE_ACCOUNT.test(name)) return undefined
  const own = claims.get('kubernetes.io')
  const isSame = textAt(own, 'namespace') === namespace && textAt(own, 'serviceaccount', 'name') === name
  if (own !== undefined && !isSame) return undefined
  return { username, namespace, name, pod: textAt(own, 'pod', 'name'), node: textAt(own, 'node', 'name') }
}

function textAt(value: unknown, ...path: readonly string[]): string | undefined {
  let at = value
  for (const name of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, name)) return undefined
    at = (at as Readonly<Record<string, unknown>>)[name] // it is an object, and has it
  }
  return typeof at === 'string' ? at : undefined
}
