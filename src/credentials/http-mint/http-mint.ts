import { randomUUID } from 'node:crypto'
import { Problem } from '../../core/problem.ts'
import type { Purpose } from '../../core/purpose.ts'
import { parseRetryAfter } from '../../oauth/answer.ts'
import type { IssuerAnswer } from '../../oauth/exchange.ts'
import { longLivedOf } from '../../secrets/reference.ts'
import { parseJsonObject } from '../../wire/json-object.ts'
import { MintedSupply } from '../cache.ts'
import { pointTo } from '../json-pointer.ts'
import type { Minted } from '../mint.ts'
import { mintedFrom, senseless, type Told } from '../told-token.ts'
import { mintageOf, type SourceKind, type SourceTools } from '../tools.ts'
import { type Part, VaryingSupply } from '../varying.ts'
import { fillIn } from './json-template.ts'
import { type HttpMintSettings, httpMintSchema, UNIQUE } from './settings.ts'

/** Tokens that a JSON endpoint gives, asked through another connection. */
export const httpMint: SourceKind<typeof httpMintSchema> = {
  schema: httpMintSchema,
  needs: ({ connection: name }) => ({ connections: [{ path: ['connection'], name, isUpstream: true }] }),
  build(settings, tools) {
    const held = Object.values(settings.secrets).map((reference) => tools.secret(reference))
    return new VaryingSupply(
      [partOf(settings.connection, tools)],
      () =>
        new MintedSupply({
          mint: (purpose) => mint(settings, tools, purpose),
          secretVersion: () => held.reduce((sum, one) => sum + one.current().version, 0),
          ...mintageOf(tools),
        }),
    )
  },
}

/** Where that connection gives each caller its own, so does what is minted with it. */
function partOf(connection: string, tools: SourceTools): Part {
  return {
    isPerCaller: () => tools.connection?.(connection).state().separate !== undefined,
    keyOf: (purpose) => tools.connection?.(connection).keyOf?.(purpose),
  }
}

async function mint(settings: HttpMintSettings, tools: SourceTools, purpose: Purpose | undefined): Promise<Minted> {
  const { connection, method, path, headers, timeoutMs, secrets } = settings
  const [own] = Object.values(secrets).map((reference) => longLivedOf(reference, tools.secret(reference)))
  const sentAt = { wall: tools.clock.now(), monotonic: tools.clock.monotonic() }
  const neighbour = neighbourOf(connection, tools)
  const errand = {
    method,
    path,
    headers: { ...headers, accept: 'application/json' },
    body: bodyOf(settings, tools),
    signal: AbortSignal.timeout(timeoutMs),
  }
  const { answer, behind = own, isGood } = await neighbour.ask(errand, purpose)
  const told = readAnswer(answer, settings, { who: neighbour.host, now: sentAt.wall })
  return {
    ...mintedFrom({ who: neighbour.host, by: 'tokenPointer', ...told, sentAt, saidAt: answer.date }, settings),
    ...(behind && { behind }),
    isGood,
  }
}

function neighbourOf(connection: string, { neighbour }: SourceTools) {
  const found = neighbour?.(connection)
  if (!found)
    throw new Problem('credential-failed', { reason: `there is no connection ${connection} here to ask through` })
  return found
}

/** JSON is made of what has been filled in, so that nothing in a secret can end its text. */
function bodyOf({ body, secrets }: HttpMintSettings, tools: SourceTools): string | undefined {
  if (body === undefined) return undefined
  const unique = randomUUID()
  const valueOf = (name: string) => {
    const reference = Object.hasOwn(secrets, name) ? secrets[name] : undefined
    if (reference) return tools.secret(reference).current().secret.reveal()
    if (name === UNIQUE) return unique
    throw new Error(`nothing to fill in for ${name}: the schema let it through`)
  }
  return JSON.stringify(fillIn(body, valueOf))
}

interface Reading {
  readonly who: string
  readonly now: number
}

/** Every refusal may pass: what was granted over there since, nobody tells us. */
function readAnswer(
  { status, retryAfter, body }: IssuerAnswer,
  { tokenPointer, expiryPointer }: HttpMintSettings,
  { who, now }: Reading,
): Pick<Told, 'token' | 'expiry'> {
  if (status >= 500 || status === 429 || status === 408) {
    const ms = parseRetryAfter(retryAfter, now)
    const wait = ms === undefined ? {} : { retryAfter: Math.ceil(ms / 1000) }
    throw new Problem('credential-unavailable', { reason: `${who} answered ${status}`, ...wait })
  }
  if (status < 200 || status >= 300)
    throw senseless(`${who} answered ${status}: ${REMEDIES[status] ?? 'check path and body'}`)
  // The pointers of the settings may go to any depth.
  const members = parseJsonObject(body, { isDeep: true })
  if (!members) throw senseless(`${who} sent an answer ${status} that is not a JSON object`)
  const expiry = expiryPointer === undefined ? undefined : pointTo(expiryPointer, members)
  if (expiryPointer !== undefined && (expiry === undefined || expiry === null))
    throw senseless(`${who} sent nothing at ${expiryPointer}: check expiryPointer`)
  return { token: pointTo(tokenPointer, members), expiry }
}

const REMEDIES: Readonly<Record<number, string>> = {
  401: 'the credential of the connection is not good there',
  403: 'the identity of the connection may not do this there: grant it, or use another connection',
  404: 'check path, and that the identity of the connection may see what it names',
}
