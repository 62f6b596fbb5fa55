import { z } from '../../forms/zod.ts'
import { type Told, tellWhy } from '../../gate/why.ts'
import { fieldInvalid } from '../admin-problem.ts'
import { knownCallers, proofOf } from '../known.ts'
import type { AdminPorts } from '../ports.ts'
import { look, type Route } from '../route.ts'
import { callerName, groupName, named } from '../shapes.ts'

const question = named(
  'Question',
  z.strictObject({
    caller: callerName,
    groups: z.array(groupName).max(256).optional().meta({ description: 'as a proof would give them' }),
    scopes: z.array(z.string().min(1).max(256)).max(256).optional().meta({
      description:
        'as a token would have them; absent: nothing caps the caller, and `lacksScopes` says where a token would',
    }),
    method: z.string().regex(/^[A-Z][A-Z-]{0,63}$/, 'use the method as it is sent, as in "GET"'),
    url: z.string().min(1).max(8192).meta({ description: '`http://api.crm.example.com/v1/contacts`' }),
  }),
)
const explanation = named(
  'Explanation',
  z.strictObject({
    decision: z.enum(['permit', 'refuse']),
    tunnel: z
      .enum(['opened', 'unopened'])
      .optional()
      .meta({ description: 'of `https://` and `CONNECT`: whether the tunnel is read, or passed on unread' }),
    reason: z.string(),
    code: z.string().optional().meta({ description: 'of the problem that the caller would be answered with' }),
    connection: z.string().optional(),
    grant: z.string().optional(),
    wouldRefuse: z.string().optional().meta({
      description: 'report mode lets it through: the code by which it would have been refused',
    }),
    remedy: z.string().optional(),
    needsLogin: z.literal(true).optional().meta({
      description: 'it is let through, and then refused as `login-required`: the connection acts for a person',
    }),
    loginFor: z.string().optional().meta({
      description: 'with `needsLogin`: whose login it has to be; absent where one serves all callers',
    }),
    lacksScopes: z.literal(true).optional().meta({
      description: 'the scopes of its token cap this caller, and the question had none: here nothing caps it',
    }),
  }),
)

/** What would be decided just now. */
export const whyRoutes: readonly Route[] = [
  look({
    method: 'POST',
    path: '/v1/why',
    summary: 'What would be decided just now, and why; nothing is sent anywhere',
    role: 'viewer',
    body: question,
    response: explanation,
    handle({ body: { caller, groups, scopes, method, url } }, ports) {
      const proof = proofOf(caller, ports)
      if (proof === undefined) throw fieldInvalid('caller', knownCallers(ports))
      const ceiling = ports.declared().ceilingOf(caller, scopes ?? [])
      const who = { name: caller, method: proof, ...(groups && { groups }), scopes: scopes && ceiling }
      const lacksScopes = ceiling !== undefined && !scopes
      const told = tellWhy({ caller: who, lacksScopes, method, url, at: ports.clock.now() }, ports.policy())
      if (!told) throw fieldInvalid('url', 'use a URL such as http://api.crm.example.com/v1/contacts')
      return { ...told, ...loginNeeded(told, caller, ports) }
    },
  }),
]

function loginNeeded({ decision, connection }: Told, caller: string, ports: AdminPorts) {
  const desk = decision === 'refuse' || connection === undefined ? undefined : ports.desks().get(connection)
  if (desk?.stateFor(caller) !== 'needs-login') return {}
  return { needsLogin: true as const, ...(desk.isByCaller && { loginFor: caller }) }
}
