import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect as connectTcp, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { checkServerIdentity, connect, type SecureContext, TLSSocket } from 'node:tls'
import { onTestFinished } from 'vitest'
import { javaTruststore } from '../../src/ca/java-truststore.ts'
import { pathOf, type Tool } from '../support/debian.ts'

/** A host, and the port of loopback where somebody presents a certificate as that host. */
export interface Target {
  readonly host: string
  readonly port: number
}

/** A program that verifies certificates; for each target it says "ok" or "refused: ...". */
export interface Verifier {
  readonly name: string
  readonly tools: readonly Tool[]
  verify(targets: readonly Target[], ca: Ca): Promise<readonly string[]>
}

/** The authority to believe, as the verifiers like to have it. */
export interface Ca {
  readonly pem: string
  readonly pemFile: string
  readonly jksFile: string
}

/** The files of an authority, until the test ends. */
export function caOf(pem: string): Ca {
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-ca-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  const ca = { pem, pemFile: join(directory, 'ca.pem'), jksFile: join(directory, 'ca.jks') }
  writeFileSync(ca.pemFile, pem)
  writeFileSync(ca.jksFile, javaTruststore(pem))
  return ca
}

/** A server that presents this context, speaks enough HTTP for curl, and ends with the test. */
export async function present(context: SecureContext): Promise<number> {
  const server = createServer((socket) => {
    const secured = new TLSSocket(socket, { isServer: true, secureContext: context })
    // A peer that refuses the certificate breaks off.
    secured.on('error', () => socket.destroy())
    secured.once('data', () => secured.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'))
  })
  onTestFinished(() => void server.close())
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  return address.port
}

/** Everything on this machine that verifies a chain in its own way. */
export const verifiers: readonly Verifier[] = [
  { name: 'Node', tools: [], verify: (targets, ca) => Promise.all(targets.map((target) => verifyByNode(target, ca))) },
  each('OpenSSL, strictly', 'openssl', ({ host, port }, { pemFile }) => [
    's_client',
    '-x509_strict',
    '-verify_return_error',
    `-CAfile=${pemFile}`,
    `-connect=127.0.0.1:${port}`,
    ...(isAddress(host) ? ['-verify_ip', host] : ['-servername', host, '-verify_hostname', host]),
  ]),
  each('curl', 'curl', ({ host, port }, { pemFile }) => [
    '--silent',
    '--show-error',
    '--noproxy',
    '*',
    '--cacert',
    pemFile,
    '--connect-to',
    `::127.0.0.1:${port}`,
    `https://${host.includes(':') ? `[${host}]` : host}/`,
  ]),
  each('GnuTLS', 'gnutls-cli', ({ host, port }, { pemFile }) => [
    `--x509cafile=${pemFile}`,
    `--verify-hostname=${host}`,
    `--port=${port}`,
    isAddress(host) ? '--disable-sni' : `--sni-hostname=${host}`,
    '127.0.0.1',
  ]),
  script('Python, strictly', ['python3'], ({ pemFile }) => [scriptAt('verify.py'), pemFile]),
  script('Go', ['go'], ({ pemFile }) => ['run', scriptAt('verify.go'), pemFile]),
  script('Java', ['java', 'javac'], ({ jksFile }) => [
    `-Djavax.net.ssl.trustStore=${jksFile}`,
    '-Djavax.net.ssl.trustStoreType=JKS',
    scriptAt('Verify.java'),
  ]),
]

function verifyByNode({ host, port }: Target, { pem }: Ca): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({
      socket: connectTcp({ host: '127.0.0.1', port }),
      ca: pem,
      servername: isAddress(host) ? '' : host,
      checkServerIdentity: (_asked, certificate) => checkServerIdentity(host, certificate),
    })
    const answer = (text: string) => {
      socket.destroy()
      resolve(text)
    }
    socket.once('secureConnect', () => answer('ok')).once('error', (error) => answer(`refused: ${error.message}`))
  })
}

function each(name: string, tool: Tool, args: (target: Target, ca: Ca) => readonly string[]): Verifier {
  const one = async (target: Target, ca: Ca) => {
    const { code, stdout, stderr } = await run(pathOf(tool), args(target, ca))
    return code === 0 ? 'ok' : `refused: ${stdout}${stderr}`
  }
  return { name, tools: [tool], verify: (targets, ca) => Promise.all(targets.map((target) => one(target, ca))) }
}

function script(name: string, tools: readonly [Tool, ...Tool[]], args: (ca: Ca) => readonly string[]): Verifier {
  async function verify(targets: readonly Target[], ca: Ca): Promise<readonly string[]> {
    const wanted = targets.map(({ host, port }) => `${host}=${port}`)
    const { code, stdout, stderr } = await run(pathOf(tools[0]), [...args(ca), ...wanted])
    if (code !== 0) throw new Error(`${name} did not come to an end: ${stderr}`)
    return stdout.trim().split('\n')
  }
  return { name, tools, verify }
}

interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

function run(program: string, args: readonly string[]): Promise<Ended> {
  return new Promise((resolve) => {
    const child = execFile(program, [...args], { timeout: 60_000 }, (error, stdout, stderr) => {
      resolve({ code: error ? 1 : 0, stdout, stderr })
    })
    child.stdin?.end()
  })
}

function scriptAt(name: string): string {
  return new URL(`verifiers/${name}`, import.meta.url).pathname
}

function isAddress(host: string): boolean {
  return /^[\d.]+$|:/.test(host)
}
