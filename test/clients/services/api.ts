import { json } from 'node:stream/consumers'
import type { Service } from './service.ts'

/** An API that answers with these words, and with what it was asked. */
export function apiService(words: string): Service {
  return {
    async handle(request, response) {
      const { method, url } = request
      const sent = method === 'POST' ? await json(request) : undefined
      response.writeHead(200, { 'Content-Type': 'application/json' })
      response.end(`${JSON.stringify({ words, method, url, sent })}\n`)
    },
  }
}
