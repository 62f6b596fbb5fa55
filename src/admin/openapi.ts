import { z } from '../forms/zod.ts'
import { type AdminProblemCode, adminProblems } from './admin-problems.ts'
import { type ApiServer, POSSIBLE_SERVERS } from './openapi-servers.ts'
import type { Description } from './route.ts'
import { problem, shapes } from './shapes.ts'

type Json = Readonly<Record<string, unknown>>

/** What any route may say. */
const EVERYWHERE: readonly AdminProblemCode[] = [
  'operator-unknown',
  'operator-unverifiable',
  'operators-missing',
  'role-insufficient',
  'cross-site',
  'host-misdirected',
  'operator-throttled',
  'internal-error',
]
const WITH_BODY: readonly AdminProblemCode[] = ['body-malformed', 'body-too-large', 'content-type-unsupported']

/**
 * The route table as an OpenAPI 3.1 document. The routes themselves are made of the same table. `servers`: where the door
 * that serves it answers; without them, where one may.
 */
export function openApiDocument(
  routes: readonly Description[],
  servers: readonly ApiServer[] = POSSIBLE_SERVERS,
): Json {
  const paths: Record<string, Record<string, Json>> = {}
  for (const route of routes) (paths[route.path] ??= {})[route.method.toLowerCase()] = operationOf(route)
  return {
    openapi: '3.1.1',
    info: {
      title: 'Sallyport admin API',
      version: '1',
      description:
        'Who may use what, live. Times are ISO 8601; errors are problems of RFC 9457 with a stable `code`. It answers at the admin door alone.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers,
    security: [{ bearer: [] }, {}],
    paths,
    components: {
      schemas: schemasOf(),
      securitySchemes: {
        bearer: {
          type: 'http',
          scheme: 'bearer',
          description: 'the key or token of an operator; on a unix: socket the kernel may say who asks',
        },
      },
    },
  }
}

function operationOf(route: Description): Json {
  const { method, path, summary, role, body, isBodyOptional } = route
  const parameters = [...parametersOf('path', route.params), ...parametersOf('query', route.query)]
  return {
    operationId: operationId(method, path),
    summary,
    description: `Role: ${role}.`,
    tags: [path.split('/')[2] ?? ''],
    'x-role': role,
    ...(parameters.length > 0 && { parameters }),
    ...(body && {
      requestBody: { required: !isBodyOptional, content: { 'application/json': { schema: refTo(body) } } },
    }),
    responses: { ...successOf(route), ...refusalsOf(route) },
  }
}

/** `getV1GrantsId`: stable, because it is made of what is stable. */
function operationId(method: string, path: string): string {
  const words = path.split(/[^A-Za-z0-9]+/).filter((word) => word !== '' && word !== 'v1')
  return method.toLowerCase() + words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('')
}

function parametersOf(where: 'path' | 'query', { shape }: z.ZodObject): Json[] {
  return Object.entries(shape).map(([name, one]) => {
    const { description, ...schema } = inlined(one as z.ZodType /* the values of a shape are types */)
    const required = where === 'path' || !(one as z.ZodType).safeParse(undefined).success
    return { name, in: where, required, ...(description !== undefined && { description }), schema }
  })
}

function successOf({ status, response }: Description): Json {
  if (response === undefined) return { [status]: { description: 'Done.' } }
  const [type, schema] =
    typeof response === 'string' ? [response, { type: 'string' }] : ['application/json', refTo(response)]
  return { [status]: { description: 'Done.', content: { [type]: { schema } } } }
}

/** By status, because that is how OpenAPI has it; the codes are in the description. */
function refusalsOf(route: Description): Json {
  const isParsed =
    route.body !== undefined || [route.params, route.query].some(({ shape }) => Object.keys(shape).length > 0)
  const codes = new Set([
    ...EVERYWHERE,
    ...(route.body ? WITH_BODY : []),
    ...(route.action === undefined ? [] : (['audit-full'] as const)),
    ...(isParsed ? (['input-invalid'] as const) : []),
    ...route.problems,
  ])
  const byStatus = Map.groupBy([...codes].sort(), (code) => adminProblems[code].status)
  const rows = [...byStatus].sort(([one], [other]) => one - other)
  return Object.fromEntries(rows.map(([status, same]) => [status, refusal(same)]))
}

function refusal(codes: readonly AdminProblemCode[]): Json {
  const description = codes.map((code) => `\`${code}\`: ${adminProblems[code].title}.`).join(' ')
  return { description, content: { 'application/problem+json': { schema: refTo(problem) } } }
}

function refTo(shape: z.ZodType): Json {
  const row = shapes.get(shape)
  if (!row) throw new Error('a shape of a route has no name')
  return { $ref: `#/components/schemas/${row.id}` }
}

function schemasOf(): Json {
  const { schemas } = z.toJSONSchema(shapes, { uri: (id) => `#/components/schemas/${id}`, override: simplify })
  const rows = Object.entries(schemas).sort(([one], [other]) => (one < other ? -1 : 1))
  return Object.fromEntries(rows.map(([id, schema]) => [id, bare(schema)]))
}

function inlined(one: z.ZodType): Json {
  return bare(z.toJSONSchema(one, { io: 'input', override: simplify }))
}

/** Every schema of the document is of the dialect that OpenAPI 3.1 has anyway. */
function bare(schema: object): Json {
  return Object.fromEntries(Object.entries(schema).filter(([key]) => !['$schema', '$id', '~standard'].includes(key)))
}

/** zod gives the whole calendar as a pattern, beside the format that says it. */
function simplify({ jsonSchema }: { readonly jsonSchema: z.core.JSONSchema.BaseSchema }): void {
  if (jsonSchema.format === 'date-time') delete jsonSchema.pattern
}
