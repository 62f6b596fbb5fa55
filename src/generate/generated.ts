import { openApiDocument } from '../admin/openapi.ts'
import { routes } from '../admin/routes.ts'
import { dashboard } from './dashboard/dashboard.ts'
import { settingsJsonSchema } from './json-schema.ts'
import { problemReference } from './problem-reference.ts'
import { reference } from './reference.ts'

/** A file that is made from the source, and committed beside it. The path starts at the root of the project. */
export interface GeneratedFile {
  readonly path: string
  readonly text: string
}

/** All of them, made anew, in memory. */
export function generatedFiles(): GeneratedFile[] {
  const schema = settingsJsonSchema()
  return [
    { path: 'config/schema.json', text: `${JSON.stringify(schema, null, 2)}\n` },
    { path: 'config/README.md', text: reference(schema) },
    { path: 'deploy/observability/grafana/sallyport.json', text: `${JSON.stringify(dashboard(), null, 2)}\n` },
    { path: 'config/problems.md', text: problemReference() },
    { path: 'config/openapi.json', text: `${JSON.stringify(openApiDocument(routes), null, 2)}\n` },
  ]
}
