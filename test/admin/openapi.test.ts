import { join } from 'node:path'
import { Validator } from '@seriousme/openapi-schema-validator'
import { expect, onTestFinished, test } from 'vitest'
import { AdminDoor } from '../../src/admin/admin-door.ts'
import { openApiDocument } from '../../src/admin/openapi.ts'
import { routes } from '../../src/admin/routes.ts'
import { privateDirectory, remove } from '../support/sallyport.ts'
import { askDoor, openTestDoor } from './door.ts'

test('the document is OpenAPI 3.1', async () => {
  const { valid, errors } = await new Validator().validate(structuredClone(openApiDocument(routes)))
  expect(errors).toBeUndefined()
  expect(valid).toBe(true)
})

test('the door serves the very document, to whoever reaches it', async () => {
  const door = await openTestDoor()
  const { status, text } = await door.ask('GET', '/openapi.json', { as: undefined })
  expect(status).toBe(200)
  const { servers, ...document } = JSON.parse(text)
  expect({ ...document, servers: openApiDocument(routes)['servers'] }).toEqual(openApiDocument(routes))
  expect(servers).toHaveLength(1)
})

test('the server of the document is where the door answers, by the name it was asked by', async () => {
  const door = await openTestDoor()
  const port = door.address.split(':')[1]
  const serverAt = async (host: string) => {
    const { text } = await door.ask('GET', '/openapi.json', { headers: { Host: host } })
    return JSON.parse(text).servers[0].url
  }
  expect(await serverAt(door.address)).toBe(`http://${door.address}`)
  expect(await serverAt('localhost')).toBe(`http://localhost:${port}`)
  expect(await serverAt('localhost:8080')).toBe('http://localhost:8080')
  const answer = await fetch(`${await serverAt(door.address)}/v1/grants`, {
    headers: { Authorization: `Bearer ${door.keys.viewer}` },
  })
  expect(answer.status).toBe(200)
})

test('at a Unix socket the document says so', async () => {
  const directory = privateDirectory()
  const { ports } = await openTestDoor()
  const listen = `unix:${join(directory, 'admin.sock')}`
  const door = new AdminDoor(ports, { listen, mode: '0600', directory, peers: undefined })
  const address = await door.open()
  onTestFinished(async () => {
    await door.close()
    remove(directory)
  })
  const { text } = await askDoor(address, { method: 'GET', path: '/openapi.json', key: undefined })
  expect(JSON.parse(text).servers).toMatchObject([
    { url: 'http://localhost', description: expect.stringContaining('unix: socket') },
  ])
})

test('each route has an operation of its own, and says its role', () => {
  const { paths } = openApiDocument(routes) as { paths: Record<string, Record<string, { operationId: string }>> }
  const operations = Object.values(paths).flatMap((one) => Object.values(one))
  expect(operations).toHaveLength(routes.length)
  expect(new Set(operations.map(({ operationId }) => operationId)).size).toBe(routes.length)
})

test('each shape that a route names is in the document, and none beside', () => {
  const text = JSON.stringify(openApiDocument(routes))
  const used = new Set(Array.from(text.matchAll(/#\/components\/schemas\/(\w+)/g), ([, id]) => String(id)))
  const { components } = JSON.parse(text)
  expect(new Set(Object.keys(components.schemas))).toEqual(used)
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
