import { z } from '../forms/zod.ts'

/** Where an API is described. Read once, at start. */
export const apiReference = z
  .strictObject(
    { file: z.string().min(1).meta({ description: 'path of it; a relative path starts at the settings file' }) },
    { error: 'use { file: PATH }' },
  )
  .meta({ description: 'an API description of OpenAPI 3.0 or 3.1, YAML or JSON; instead of methods and paths' })

/** Which of its operations. */
export const operationIds = z
  .array(z.string().min(1))
  .min(1, 'name at least one operation')
  .meta({ description: 'ids of the operations of `openapi` that are let through, and no other requests' })

interface RuleParts {
  readonly methods?: unknown
  readonly paths?: unknown
  readonly openapi?: unknown
  readonly operations?: unknown
}

/** A rule speaks of operations, or of methods and paths. */
export function checkOperations({ methods, paths, openapi, operations }: RuleParts, context: z.RefinementCtx): void {
  const say = (key: string, message: string) => context.addIssue({ code: 'custom', path: [key], message })
  if (openapi !== undefined && operations === undefined)
    say('openapi', 'add operations: [ID, ...], the ids that are let through')
  if (operations !== undefined && openapi === undefined)
    say('operations', 'add openapi: { file: PATH }, where they are described')
  if (openapi === undefined) return
  if (methods !== undefined) say('methods', 'leave it out: the operations say which methods')
  if (paths !== undefined) say('paths', 'leave it out: the operations say which paths')
}
