import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import { ListRootsResultSchema } from '@modelcontextprotocol/sdk/types.js'
import type { Identity } from './certificates.ts'

/** A real MCP server (Streamable HTTP, with sessions and streams) that knows who asks by a token. */
export interface McpSite {
  readonly port: number
  /** Names and values of every request, in turn. */
  readonly heads: readonly (readonly string[])[]
  stop(): Promise<void>
}

/** Whose token it is. Undefined: nobody's that is known here. */
type Judge = (token: string) => Promise<string | undefined>

/** Starts it on 127.0.0.1, on a free port; it is at `/mcp`. */
export async function startMcpServer(identity: Identity, judge: Judge): Promise<McpSite> {
  const sessions = new Map<string, StreamableHTTPServerTransport>()
  const heads: (readonly string[])[] = []
  const server = createServer(identity, (request, response) => {
    heads.push(request.rawHeaders)
    serve(request, response).catch(() => response.destroy())
  })
  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const token = /^Bearer (\S+)$/.exec(request.headers.authorization ?? '')?.[1] ?? ''
    const subject = await judge(token)
    if (subject === undefined) return void response.writeHead(401, { 'www-authenticate': 'Bearer' }).end()
    const transport = sessions.get(String(request.headers['mcp-session-id'])) ?? (await begin(sessions))
    const auth = { token, clientId: subject, scopes: [] }
    await transport.handleRequest(Object.assign(request, { auth }), response)
  }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port, // a TCP server has an address of this form
    heads,
    async stop() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

async function begin(sessions: Map<string, StreamableHTTPServerTransport>): Promise<StreamableHTTPServerTransport> {
  const transport: StreamableHTTPServerTransport = new StreamableHTTPServerTransport({
    sessionIdGenerator: () => crypto.randomUUID(),
    onsessioninitialized: (id) => void sessions.set(id, transport),
    onsessionclosed: (id) => void sessions.delete(id),
  })
  await siteOfTools().connect(transport)
  return transport
}

function say(text: string) {
  return { content: [{ type: 'text' as const, text }] }
}

/** Tools that use each way there is: an answer, a stream that ends in one, a question back, and news at any time. */
function siteOfTools(): McpServer {
  const server = new McpServer({ name: 'crm', version: '1.0.0' })
  server.registerTool('whoami', { description: 'who asks' }, ({ authInfo }) => say(authInfo?.clientId ?? 'nobody'))
  server.registerTool('count', { description: 'counts to three' }, async ({ _meta, sendNotification }) => {
    const progressToken = _meta?.progressToken ?? 0
    for (const progress of [1, 2, 3])
      await sendNotification({ method: 'notifications/progress', params: { progressToken, progress, total: 3 } })
    return say('three')
  })
  server.registerTool('roots', { description: 'asks the client' }, async ({ sendRequest }) => {
    const { roots } = await sendRequest({ method: 'roots/list' }, ListRootsResultSchema)
    return say(roots.map(({ uri }) => uri).join())
  })
  server.registerTool('tell', { description: 'tells news' }, () => {
    server.sendToolListChanged()
    return say('told')
  })
  return server
}
