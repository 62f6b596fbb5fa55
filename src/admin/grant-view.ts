import type { Holder } from '../core/grants.ts'
import { type StoredGrant, UNREADABLE } from '../core/holdings.ts'
import type { Rule } from '../core/rule.ts'
import { z } from '../forms/zod.ts'
import type { AdminPorts, DeclaredGrant } from './ports.ts'
import { callerName, groupName, iso, named, rule } from './shapes.ts'
import { holdingsOf } from './store-of.ts'

const time = z.iso.datetime()

/** Permission for a caller, or a group of them, to use a connection. */
export const grant = named(
  'Grant',
  z.strictObject({
    id: z.string(),
    source: z
      .enum(['declared', 'stored'])
      .meta({ description: '`declared`: in the settings file, and read-only here' }),
    caller: callerName.optional(),
    group: groupName.optional(),
    connection: z.string(),
    rules: z.array(rule).meta({ description: 'any one of them has to fit; empty: everything is granted' }),
    isUnreadable: z.literal(true).optional().meta({
      description: 'nobody can read what its rules are: nothing goes out until it is revoked',
    }),
    until: time.optional().meta({ description: 'refused from this very millisecond on' }),
    mode: z.literal('report').optional().meta({
      description: 'what its rules would refuse goes through, and is recorded; absent: it is refused',
    }),
    createdAt: time.optional(),
    createdBy: z.string().optional().meta({ description: 'name of an operator' }),
  }),
)

export type GrantView = z.infer<typeof grant>

/** A grant of the settings or of the store as the API shows it. */
export function grantView(one: DeclaredGrant | StoredGrant): GrantView {
  const { id, holder, connection, rules, until } = one
  return {
    id,
    source: 'createdAt' in one ? 'stored' : 'declared',
    ...holderView(holder),
    connection,
    rules: rules === UNREADABLE ? [] : rules.map(ruleView),
    ...(rules === UNREADABLE && { isUnreadable: true }),
    ...(until !== undefined && { until: iso(until) }),
    ...('mode' in one && one.mode === 'report' && { mode: one.mode }),
    ...('createdAt' in one && { createdAt: iso(one.createdAt), createdBy: one.createdBy }),
  }
}

function holderView({ caller, group }: Holder): Pick<GrantView, 'caller' | 'group'> {
  return caller === undefined ? { group } : { caller }
}

function ruleView({ methods, paths }: Rule): GrantView['rules'][number] {
  return { ...(methods && { methods: [...methods] }), ...(paths && { paths: [...paths] }) }
}

/** Every grant, those of the settings before those of the store. */
export function allGrants(ports: AdminPorts): readonly (DeclaredGrant | StoredGrant)[] {
  return [...ports.declared().grants, ...holdingsOf(ports).grants]
}

/** What a list of grants is in the order of: those of the settings as they stand there, then the others by age. */
export function grantKey(one: DeclaredGrant | StoredGrant): string {
  // Ids of the store are UUIDs of version 7, which sort by the time they were made at.
  return 'createdAt' in one ? `1 ${one.id}` : `0 ${one.id.replace(/\d+/, (digits) => digits.padStart(9, '0'))}`
}
