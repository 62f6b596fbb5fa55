import { didYouMean } from './near.ts'
import { z } from './zod.ts'

/**
 * One kind of a port (a source, a caller method, an injection, a door, a sink): what its settings say, and what is built
 * of them. `build` does no I/O. A kind is one file and one line in its room's registry; the settings type, the JSON
 * Schema, the reference and the contract tests follow from there.
 */
export interface Kind<S extends z.ZodObject, Tools, Made> {
  readonly schema: S
  /** Servers that it asks by itself: a network that lets nothing else out has to know of them. */
  dials?(settings: z.infer<S>): Dialled
  build(settings: z.infer<S>, tools: Tools): Made
}

/** Where something goes by itself, whoever asks for what. `unknown`: what it starts may dial anything. */
export type Dialled = readonly DialledServer[] | 'unknown'

/** One server that is asked for something, as settings name it. */
export interface DialledServer {
  readonly url: string
  /** What is there, in a word or two: `token endpoint`. */
  readonly what: string
  readonly allowPrivate: readonly string[]
  /** It says itself where else to ask, and that may be another host. */
  readonly isSignpost?: boolean
}

type Registry = Readonly<Record<string, { readonly schema: z.ZodObject }>>
type SchemaOf<R extends Registry> = R[keyof R]['schema']

/** The settings of any kind in a registry, told apart by `kind`. */
export function kindUnion<R extends Registry>(registry: R, id: string): z.ZodType<z.infer<SchemaOf<R>>> {
  const [first, ...rest] = Object.values(registry).map((entry) => entry.schema)
  if (!first) throw new Error(`the registry ${id} is empty`)
  const union = z.discriminatedUnion('kind', [first, ...rest] as never, {
    error: ({ input }) => {
      const names = Object.keys(registry)
      const kinds = names.join(', ')
      return hasKind(input)
        ? `${didYouMean([input.kind], names)}use one of ${kinds}`
        : `use { kind: KIND }, with one of ${kinds}`
    },
  })
  // The registry's own types are kept; the array above has lost them.
  return union.meta({ id })
}

function hasKind(input: unknown): input is { readonly kind: unknown } {
  return typeof input === 'object' && input !== null && 'kind' in input
}

/** Builds what settings of any kind in a registry describe. */
export function buildKind<Tools, Made>(
  registry: Readonly<Record<string, { build(settings: never, tools: Tools): Made }>>,
  settings: { readonly kind: string },
  tools: Tools,
): Made {
  const entry = registry[settings.kind]
  if (!entry) throw new Error(`no kind ${settings.kind}: the schema let it through`)
  // The schema union has matched `kind`, so the settings are those of this entry.
  return entry.build(settings as never, tools)
}
