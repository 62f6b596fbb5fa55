import { Validator } from '@seriousme/openapi-schema-validator'
import { expect, test } from 'vitest'
import { openApiDocument } from '../../src/admin/openapi.ts'
import { routes } from '../../src/admin/routes.ts'
import { openTestDoor } from './door.ts'

test('the document is OpenAPI 3.1', async () => {
  const { valid, errors } = await new Validator().validate(structuredClone(openApiDocument(routes)))
  expect(errors).toBeUndefined()
  expect(valid).toBe(true)
})

test('the door serves the very document, to whoever reaches it', async () => {
  const door = await openTestDoor()
  const { status, text } = await door.ask('GET', '/openapi.json', { as: undefined })
  expect(status).toBe(200)
  expect(JSON.parse(text)).toEqual(openApiDocument(routes))
})

test('each route has an operation of its own, and says its role', () => {
  const { paths } = openApiDocument(routes) as { paths: Record<string, Record<string, { operationId: string }>> }
  const operations = Object.values(paths).flatMap((one) => Object.values(one))
  expect(operations).toHaveLength(routes.length)
  expect(new Set(operations.map(({ operationId }) => operationId)).size).toBe(routes.length)
})

test('each shape that a route names is in the document, and none beside', () => {
  const text = JSON.stringify(openApiDocument(routes))
  const used = new Set(Array.from(text.matchAll(/#\/components\/schemas\/(\w+)/g), ([, id]) => id))
  const { components } = JSON.parse(text)
  expect(Object.keys(components.schemas).toSorted()).toEqual([...used].toSorted())
})

test('a secret is write-only', () => {
  const { components } = JSON.parse(JSON.stringify(openApiDocument(routes)))
  expect(components.schemas.SecretDraft.properties.value).toMatchObject({ writeOnly: true })
  expect(Object.keys(components.schemas.SecretVersion.properties)).toEqual([
    'name',
    'version',
    'createdAt',
    'createdBy',
  ])
})
