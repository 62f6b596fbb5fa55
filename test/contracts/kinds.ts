import { describe, expect, test } from 'vitest'
import { z } from '../../src/forms/zod.ts'

interface AnyKind {
  readonly schema: z.ZodObject
}

/**
 * What holds for every line of every registry: its settings are strict, told in words, and expressible as JSON Schema.
 * `examples`: for each kind, the least that a settings file has to say; a kind that is missing there does not compile.
 */
export function describeKinds<K extends string>(
  room: string,
  kinds: Readonly<Record<K, AnyKind>>,
  examples: Readonly<Record<K, object>>,
): void {
  // Object.keys has forgotten the names of the keys.
  describe.each(Object.keys(kinds) as K[])(`${room}: settings of %s`, (kind) => {
    const { schema } = kinds[kind]
    const settings = { kind, ...examples[kind] }

    test('are taken as they are', () => {
      expect(schema.safeParse(settings).error?.issues ?? []).toEqual([])
    })

    test('refuse a key they do not know', () => {
      expect(schema.safeParse({ ...settings, unknown: 1 }).success).toBe(false)
    })

    test('say in words what they are, and what each of them is', () => {
      const shape: Readonly<Record<string, z.ZodType>> = schema.shape
      expect(schema.meta()?.description).toBeTypeOf('string')
      expect(Object.keys(shape).filter((name) => name !== 'kind' && !shape[name]?.meta()?.description)).toEqual([])
    })

    test('can be told as JSON Schema', () => {
      const json = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' })
      expect(json).toMatchObject({ type: 'object', additionalProperties: false })
    })
  })
}
