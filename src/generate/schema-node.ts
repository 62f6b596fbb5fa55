/** As much of a JSON Schema (draft 2020-12) as settings are described with. */
export interface SchemaNode {
  readonly $ref?: string
  readonly title?: string
  readonly description?: string
  readonly type?: string
  /** Only the name of a kind is ever a constant. */
  readonly const?: string
  readonly enum?: readonly unknown[]
  readonly default?: unknown
  readonly format?: string
  readonly minimum?: number
  readonly maximum?: number
  readonly items?: SchemaNode
  readonly required?: readonly string[]
  readonly properties?: Readonly<Record<string, SchemaNode>>
  readonly propertyNames?: SchemaNode
  readonly additionalProperties?: false | SchemaNode
  readonly oneOf?: readonly SchemaNode[]
  readonly anyOf?: readonly SchemaNode[]
  readonly $defs?: Readonly<Record<string, SchemaNode>>
}

/** The id that a reference into `$defs` names. */
export function idOf(ref: string): string {
  return ref.replace('#/$defs/', '')
}

/** What a kind is called: its `kind`, where a token is `from`, or the one key that a reference to a secret has. */
export function kindOf({ properties = {} }: SchemaNode): string {
  return properties['kind']?.const ?? properties['from']?.const ?? Object.keys(properties)[0] ?? ''
}
