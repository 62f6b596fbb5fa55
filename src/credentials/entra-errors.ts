const SCOPE = 'scope has to be the application ID URI of one resource and "/.default"'
const FEDERATED = 'a federated credential of the app has to name exactly the iss, sub and aud of the token'

/** What to change after a refusal, in our own words. @see https://learn.microsoft.com/entra/identity-platform/reference-error-codes */
const REMEDIES: ReadonlyMap<number, string> = new Map([
  [53003, 'a Conditional Access policy forbids it: have an administrator of the tenant look at its sign-in logs'],
  [70011, SCOPE],
  [90002, 'there is no such tenant: check tenant, and authority for a sovereign cloud'],
  [
    500011,
    'the resource of scope is not in this tenant: check its application ID URI, or add its enterprise application',
  ],
  [501051, 'the app has no role at this resource, which demands one: have an administrator assign it'],
  [700016, 'the app is not in this tenant: check clientId and tenant, or have an administrator consent to it'],
  [700021, 'the token of the file is for another app, or of another kind: check assertion'],
  [700023, 'the token of the file is for somebody else: its aud has to be the one of the federated credential'],
  [
    700024,
    'the assertion is not good at this time: check the clock of this machine, and that the file is written anew',
  ],
  [700027, 'the certificate is not registered for the app, or has expired: upload it to the app'],
  [700211, FEDERATED],
  [700212, FEDERATED],
  [700213, FEDERATED],
  [70021, FEDERATED],
  [7000112, 'the app is disabled: have an administrator enable it'],
  [7000215, 'the client secret is wrong: use its value, which is not its id'],
  [7000218, 'Entra wants a proof of the app: it is not registered as a public client'],
  [7000222, 'the client secret has expired: make a new one, and put it into the file'],
  [900023, 'tenant is neither an id nor a domain of a tenant'],
  [1002012, SCOPE],
  [9010010, 'scope says the resource: leave out the resource parameter'],
])

/** What the numbers of a refusal mean, with what to change; undefined: it has none. */
export function remedyOf(codes: readonly number[]): string | undefined {
  const known = codes.find((code) => REMEDIES.has(code)) ?? codes[0]
  if (known === undefined) return undefined
  const remedy = REMEDIES.get(known)
  return `AADSTS${known}${remedy === undefined ? '' : `: ${remedy}`}`
}
