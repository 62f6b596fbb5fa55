import { z } from './zod.ts'

/** Any value that JSON has too; YAML has a few more. */
export const jsonValue = z
  .unknown()
  .refine(isJson, 'use a value that JSON has: no .nan and no .inf')
  .meta({ title: 'value' })

function isJson(value: unknown): boolean {
  if (typeof value === 'object' && value !== null) return Object.values(value).every(isJson)
  return typeof value === 'number' ? Number.isFinite(value) : ['string', 'boolean', 'object'].includes(typeof value)
}
