import { randomUUIDv7 } from 'node:crypto'
import { Hono } from 'hono'
import { AdminProblem } from './admin-problem.ts'
import { healthApp } from './health.ts'
import { loginApp } from './login-app.ts'
import { openApiDocument } from './openapi.ts'
import { serversOf } from './openapi-servers.ts'
import type { AdminPorts } from './ports.ts'
import { refusalResponse } from './refusal.ts'
import { routes } from './routes.ts'
import { type Line, serve } from './serve.ts'
import { WrongProofs } from './wrong-proofs.ts'

type App = Hono<{ Bindings: Line }>

/** The operator's door: health, metrics and the description of the API for everybody who reaches it, /v1 for operators. */
export function createAdminApp(ports: AdminPorts): App {
  const app: App = new Hono()
  app.route('/', healthApp(ports))
  let document: ReturnType<typeof openApiDocument> | undefined
  app.get('/openapi.json', ({ env, body }) => {
    document ??= openApiDocument(routes)
    const text = JSON.stringify({ ...document, servers: serversOf(env.incoming) })
    return body(`${text}\n`, 200, { 'Content-Type': 'application/json' })
  })
  app.route('/login', loginApp(ports))
  mount(app, ports)
  app.notFound(() => refusalResponse(new AdminProblem('not-found'), randomUUIDv7()))
  app.onError((error) => {
    const id = randomUUIDv7()
    ports.onFault(id, error)
    return refusalResponse(new AdminProblem('internal-error'), id)
  })
  return app
}

function mount(app: App, ports: AdminPorts): void {
  const wrong = new WrongProofs()
  for (const route of routes) {
    app.on(route.method, honoPath(route.path), ({ req, env }) =>
      serve(route, { ...env, params: req.param(), query: req.queries() }, { ports, wrong }),
    )
  }
  for (const [path, same] of Map.groupBy(routes, (route) => route.path)) {
    const allow = same.map(({ method }) => (method === 'GET' ? 'GET, HEAD' : method)).join(', ')
    app.all(honoPath(path), () =>
      refusalResponse(new AdminProblem('method-not-allowed'), randomUUIDv7(), { Allow: allow }),
    )
  }
}

/** `/v1/grants/{id}` as `/v1/grants/:id`. */
function honoPath(path: string): string {
  return path.replaceAll(/\{(\w+)\}/g, ':$1')
}
