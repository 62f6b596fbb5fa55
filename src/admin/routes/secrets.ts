import { Secret } from '../../core/secret.ts'
import { z } from '../../forms/zod.ts'
import type { SecretVersion } from '../../store/store.ts'
import { AdminProblem } from '../admin-problem.ts'
import { pageOf } from '../page.ts'
import type { AdminPorts } from '../ports.ts'
import { change, look, type Route } from '../route.ts'
import { iso, listOf, named, newName, paging } from '../shapes.ts'
import { storeOf } from '../store-of.ts'

const secret = named(
  'SecretVersion',
  z.strictObject({
    name: z.string(),
    version: z.int().min(1),
    createdAt: z.iso.datetime(),
    createdBy: z.string().meta({ description: 'name of an operator' }),
  }),
)
const list = listOf('SecretVersionList', secret)
const params = z.strictObject({ name: newName.meta({ description: 'name of a secret' }) })
const MAX = 65_536
const draft = named(
  'SecretDraft',
  z.strictObject({
    value: z
      .string()
      .min(1)
      .max(MAX)
      .refine((text) => !text.includes('\0') && text.isWellFormed(), 'use text of UTF-8, without NUL')
      .meta({ description: 'the secret; no answer ever has it', writeOnly: true }),
  }),
)

/** Secrets that the store keeps sealed: they come in, and never out again. */
export const secretRoutes: readonly Route[] = [
  look({
    path: '/v1/secrets',
    summary: 'Every version of every sealed secret, without the secrets',
    role: 'viewer',
    query: z.strictObject(paging),
    response: list,
    problems: ['store-missing', 'store-lost'],
    async handle({ query }, ports) {
      const versions = (await storeOf(ports).secrets.list()).map(view)
      return pageOf(versions, ({ name, version }) => `${name} ${String(version).padStart(9, '0')}`, query)
    },
  }),
  change({
    method: 'PUT',
    path: '/v1/secrets/{name}',
    summary: 'Seal a secret, or a new version of it, which is in use from then on',
    role: 'admin',
    params,
    body: draft,
    response: secret,
    action: 'secret.set',
    problems: ['store-missing', 'store-lost', 'sealing-key-missing'],
    async handle({ params: { name }, body, operator }, ports) {
      const { secrets } = storeOf(ports)
      const before = (await secrets.list()).filter((one) => one.name === name).sort((a, b) => b.version - a.version)[0]
      const after = view(await secrets.put(name, new Secret(body.value), operator.name))
      return { answer: after, effects: [{ subject: name, before: before && view(before), after }] }
    },
  }),
  change({
    method: 'DELETE',
    path: '/v1/secrets/{name}',
    summary:
      'Remove a secret that the settings of this instance do not name; of its versions, only that there were any is kept',
    role: 'admin',
    params,
    action: 'secret.remove',
    problems: ['not-found', 'secret-in-use', 'store-missing', 'store-lost'],
    async handle({ params: { name } }, ports) {
      const { secrets } = storeOf(ports)
      refuseNamed(name, ports)
      return { answer: undefined, effects: [{ subject: name, before: view(await secrets.remove(name)) }] }
    },
  }),
]

function refuseNamed(name: string, ports: AdminPorts): void {
  const places = ports.declared().storedSecrets.get(name)
  if (places)
    throw new AdminProblem('secret-in-use', {
      detail: `Take it out of the settings file first: it stands at ${places.join(', ')}.`,
    })
}

function view({ name, version, createdAt, createdBy }: SecretVersion) {
  return { name, version, createdAt: iso(createdAt), createdBy }
}
