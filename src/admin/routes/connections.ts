import { z } from '../../forms/zod.ts'
import { AdminProblem } from '../admin-problem.ts'
import { type ConnectionView, connection, connectionView, switchOf } from '../connection-view.ts'
import { knownConnections } from '../known.ts'
import { pageOf } from '../page.ts'
import type { AdminPorts, DeclaredConnection } from '../ports.ts'
import { change, look, type Route } from '../route.ts'
import { listOf, named, paging, reason, settingsName } from '../shapes.ts'
import { storeOf } from '../store-of.ts'

const params = z.strictObject({ name: settingsName.meta({ description: 'name of a connection' }) })
const list = listOf('ConnectionList', connection)
const disabling = named(
  'Disabling',
  z.strictObject({ reason: reason.optional().meta({ description: 'why, for whoever finds it switched off' }) }),
)

/** Connections, and their switch. */
export const connectionRoutes: readonly Route[] = [
  look({
    path: '/v1/connections',
    summary: 'Every connection, with the state of its credential',
    role: 'viewer',
    query: z.strictObject(paging),
    response: list,
    handle: ({ query }, ports) =>
      pageOf(
        [...ports.declared().connections.keys()].map((name) => viewOf(name, ports)),
        ({ name }) => name,
        query,
      ),
  }),
  look({
    path: '/v1/connections/{name}',
    summary: 'One connection',
    role: 'viewer',
    params,
    response: connection,
    problems: ['not-found'],
    handle: ({ params: { name } }, ports) => viewOf(name, ports),
  }),
  change({
    method: 'POST',
    path: '/v1/connections/{name}/disable',
    summary: 'Switch a connection off for everybody, at once',
    role: 'admin',
    params,
    body: disabling,
    isBodyOptional: true,
    response: connection,
    action: 'connection.disable',
    isTaking: true,
    problems: ['not-found', 'store-missing', 'store-lost'],
    async handle({ params: { name }, body, operator }, ports) {
      const before = switchOf(name, declaredOf(name, ports), ports)
      await storeOf(ports).disable(name, operator.name, body.reason)
      return switched(name, before, ports)
    },
  }),
  change({
    method: 'POST',
    path: '/v1/connections/{name}/enable',
    summary: 'Switch a connection on again; changes nothing when it is on',
    role: 'admin',
    params,
    response: connection,
    action: 'connection.enable',
    problems: ['not-found', 'switch-declared', 'store-missing', 'store-lost'],
    async handle({ params: { name } }, ports) {
      const declared = declaredOf(name, ports)
      if (declared.disabled) throw new AdminProblem('switch-declared')
      const before = switchOf(name, declared, ports)
      await storeOf(ports).enable(name)
      return switched(name, before, ports)
    },
  }),
]

function switched(name: string, before: object, ports: AdminPorts) {
  const after = switchOf(name, declaredOf(name, ports), ports)
  return { answer: viewOf(name, ports), effects: [{ subject: name, before, after }] }
}

function declaredOf(name: string, ports: AdminPorts): DeclaredConnection {
  const { connections } = ports.declared()
  const found = connections.get(name)
  if (!found) throw new AdminProblem('not-found', { detail: knownConnections(connections.keys()) })
  return found
}

function viewOf(name: string, ports: AdminPorts): ConnectionView {
  return connectionView(name, declaredOf(name, ports), ports)
}
