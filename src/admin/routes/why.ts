import { z } from '../../forms/zod.ts'
import { tellWhy } from '../../gate/why.ts'
import { fieldInvalid } from '../admin-problem.ts'
import { knownCallers, proofOf } from '../known.ts'
import { look, type Route } from '../route.ts'
import { callerName, groupName, named } from '../shapes.ts'

const question = named(
  'Question',
  z.strictObject({
    caller: callerName,
    groups: z.array(groupName).max(256).optional().meta({ description: 'as a proof would give them' }),
    scopes: z.array(z.string().min(1).max(256)).max(256).optional().meta({
      description: 'as a token would have them; absent: a proof without scopes, which caps nothing',
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
    remedy: z.string().optional(),
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
      const who = { name: caller, method: proof, ...(groups && { groups }), ...(scopes && { scopes }) }
      const told = tellWhy({ caller: who, method, url, at: ports.clock.now() }, ports.policy())
      if (!told) throw fieldInvalid('url', 'use a URL such as http://api.crm.example.com/v1/contacts')
      return told
    },
  }),
]
