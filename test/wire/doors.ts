import { createServer, type Server } from 'node:net'
import { expect, onTestFinished } from 'vitest'
import type { Bound } from '../../src/wire/listen.ts'
import { ListenError, type ListenErrorCode } from '../../src/wire/listen-error.ts'

/** Greets whoever connects. */
export function newServer(): Server {
  const server = createServer((socket) => void socket.on('error', () => {}).end('hello'))
  onTestFinished(() => void server.close())
  return server
}

/** Binding fails with this code, and a message that says so. */
export async function expectRefusal(work: Promise<Bound>, code: ListenErrorCode, says: string): Promise<void> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(ListenError)
  expect(error).toMatchObject({ code, message: expect.stringContaining(says) })
}
