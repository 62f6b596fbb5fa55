import { faultOfPath, type Rule } from '../core/rule.ts'
import { basePathsOf } from './api-servers.ts'
import { entries, field, list } from './untyped.ts'

/** An OpenAPI description as far as grants need it: what its operations are called, and which requests they are. */
export interface ApiDescription {
  /** In the order of the file. */
  readonly ids: readonly string[]
  /** The rule that lets exactly these requests through, or what is wrong, with what to do. */
  ruleFor(id: string): Rule | string
}

interface Operation {
  readonly id: string
  readonly method: string
  readonly template: string
  /** Those of the operation, of its path, or of the whole description, whichever comes first. */
  readonly servers: unknown
  /** Names of path parameters whose values may have a slash. */
  readonly reserved: readonly string[]
}

const METHODS = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch'] as const

/**
 * Reads a description of OpenAPI 3.0 or 3.1, as YAML or JSON gave it. `hosts`: those of the connection. A text: what is
 * wrong with it.
 * @see OpenAPI Specification 3.1.1 sections 4.8.5, 4.8.8, 4.8.9
 */
export function readDescription(document: unknown, hosts: readonly string[]): ApiDescription | string {
  const version = field(document, 'openapi')
  if (typeof version !== 'string' || !/^3\.[01](?:\.|$)/.test(version)) {
    return 'use a description of OpenAPI 3.0 or 3.1: it says so in "openapi"'
  }
  const operations = operationsIn(document)
  return {
    ids: [...new Set(operations.map(({ id }) => id))],
    ruleFor(id) {
      const [operation, ...others] = operations.filter((one) => one.id === id)
      if (!operation) return unknownOperation(operations)
      if (others.length > 0)
        return `use an id that one operation alone has: ${placesOf([operation, ...others])} share it`
      return ruleOf(operation, hosts)
    },
  }
}

function operationsIn(document: unknown): readonly Operation[] {
  return entries(field(document, 'paths')).flatMap(([template, given]) => {
    const item = resolved(given, document)
    return METHODS.flatMap((method): Operation[] => {
      const operation = field(item, method)
      const id = field(operation, 'operationId')
      if (typeof id !== 'string') return []
      const servers = field(operation, 'servers') ?? field(item, 'servers') ?? field(document, 'servers')
      const parameters = [field(item, 'parameters'), field(operation, 'parameters')].flatMap(list)
      const reserved = parameters.map((one) => resolved(one, document)).filter(isReserved)
      return [{ id, method: method.toUpperCase(), template, servers, reserved: reserved.map(nameOf) }]
    })
  })
}

function ruleOf({ method, template, servers, reserved }: Operation, hosts: readonly string[]): Rule | string {
  const [slashed] = reserved
  if (slashed !== undefined) return byHand(`{${slashed}} of ${template} may hold slashes`)
  const pattern = patternOf(template)
  if (pattern === undefined) return byHand(`${template} has more in it than {NAME} and plain text`)
  const bases = basePathsOf(servers, hosts)
  if (typeof bases === 'string') return bases
  const paths = bases.map((base) => base + pattern)
  const unsafe = paths.find((path) => faultOfPath(path) !== undefined)
  return unsafe === undefined ? { methods: [method], paths } : byHand(`${unsafe}: ${faultOfPath(unsafe)}`)
}

/**
 * `/a/{id}` as a pattern. A parameter is one segment or a part of one: a slash in its value is sent percent-encoded, and
 * matches nothing, because servers disagree about those. Undefined: a template of another kind, as `{+path}` or `{id=*}`.
 */
function patternOf(template: string): string | undefined {
  if (!template.startsWith('/')) return undefined
  const literals = template.split(/\{[A-Za-z0-9_.-]+\}/)
  if (literals.some((literal) => /[{}*?#]/.test(literal))) return undefined
  // Two side by side are one star: "**" would be any number of segments.
  return literals
    .map(encoded)
    .join('*')
    .replace(/\*{2,}/g, '*')
}

/** As clients send it; what is percent-encoded already stays. */
function encoded(literal: string): string {
  return literal.replace(/[^!-~]+/g, (part) => encodeURIComponent(part.toWellFormed()))
}

function byHand(why: string): string {
  return `write a rule with methods and paths for it: ${why}`
}

const SHOWN_AT_MOST = 50

function unknownOperation(operations: readonly Operation[]): string {
  const ids = [...new Set(operations.map(({ id }) => id))].toSorted()
  if (ids.length === 0) return 'no operation of the description has an operationId: write rules with methods and paths'
  const more = ids.length > SHOWN_AT_MOST ? ` and ${ids.length - SHOWN_AT_MOST} more` : ''
  return `use the id of an operation: ${ids.slice(0, SHOWN_AT_MOST).join(', ')}${more}`
}

function placesOf(operations: readonly Operation[]): string {
  return operations.map(({ method, template }) => `${method} ${template}`).join(' and ')
}

/** OpenAPI 3.2 has it for path parameters; tools use it before that. */
function isReserved(parameter: unknown): boolean {
  return field(parameter, 'in') === 'path' && field(parameter, 'allowReserved') === true
}

function nameOf(parameter: unknown): string {
  return String(field(parameter, 'name'))
}

/** Follows one reference within the document; what is elsewhere is not there. */
function resolved(value: unknown, document: unknown): unknown {
  const reference = field(value, '$ref')
  if (typeof reference !== 'string' || !reference.startsWith('#/')) return value
  const keys = reference.slice(2).split('/')
  return keys.reduce((at, key) => field(at, key.replaceAll('~1', '/').replaceAll('~0', '~')), document)
}
