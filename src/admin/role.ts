/** What an operator may do: a viewer looks, a granter also grants and adds callers, an admin does everything. */
export const ROLES = ['viewer', 'granter', 'admin'] as const
export type Role = (typeof ROLES)[number]

/** Whether what a role may do includes what is asked for. */
export function reaches(role: Role, needed: Role): boolean {
  return ROLES.indexOf(role) >= ROLES.indexOf(needed)
}
