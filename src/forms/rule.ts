import { faultOfPath } from '../core/rule.ts'
import { z } from './zod.ts'

/** A pattern that no path fits, or that fits others than it seems to, is a mistake. */
export function checkPath(pattern: string, context: z.RefinementCtx<string>): void {
  const fault = faultOfPath(pattern)
  if (fault) context.addIssue({ code: 'custom', message: fault })
}

/** Methods of a rule, or of a scope. */
export const methods = z
  .array(z.string().regex(/^[A-Z][A-Z-]*$/, 'use the method as it is sent, as in "GET"'))
  .min(1, 'name at least one method, or leave methods out for all')
  .optional()
  .meta({ description: 'methods, compared exactly; absent: any' })

/** Paths of a rule, or of a scope. */
export const paths = z
  .array(z.string().superRefine(checkPath))
  .min(1, 'name at least one path, or leave paths out for all')
  .optional()
  .meta({ description: 'paths as sent upstream; `*` is one segment or part of one, `**` any number; absent: any' })
