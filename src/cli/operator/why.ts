import { inShell } from '../../forms/in-shell.ts'
import { z } from '../../forms/zod.ts'
import { EXIT } from '../exit-codes.ts'
import { inWords, scopesNote } from '../why.ts'
import { ask } from './client.ts'
import { type VerbOptions, viaDoor } from './verb.ts'

/** Who would ask, and how. */
export interface LiveWhyOptions extends VerbOptions {
  readonly caller: string
  readonly method: string
  readonly group?: readonly string[]
  readonly scope?: readonly string[]
}

const told = z.looseObject({
  decision: z.enum(['permit', 'refuse']),
  tunnel: z.enum(['opened', 'unopened']).optional(),
  reason: z.string(),
  code: z.string().optional(),
  wouldRefuse: z.string().optional(),
  remedy: z.string().optional(),
  lacksScopes: z.literal(true).optional(),
  needsLogin: z.literal(true).optional(),
  loginFor: z.string().optional(),
  connection: z.string().optional(),
})

/** `sallyport why --live`: what the running sidecar would decide just now, stored grants and switches included. */
export function whyLive(url: string, options: LiveWhyOptions): Promise<void> {
  return viaDoor(options, async (door) => {
    const { caller, method, group: groups, scope: scopes } = options
    const body = { caller, method, url, ...(groups && { groups }), ...(scopes && { scopes }) }
    const answer = await ask(door, told, { method: 'POST', path: '/v1/why', body })
    const notes = [
      ...(answer.lacksScopes ? [scopesNote(caller)] : []),
      ...(answer.needsLogin ? [`and then it is refused, until somebody runs: ${loginLine(answer)}`] : []),
    ]
    const note = notes.length === 0 ? undefined : notes.join('\n')
    return { json: answer, words: inWords(answer), note, exitCode: answer.decision === 'refuse' ? EXIT.refused : 0 }
  })
}

function loginLine({ connection, loginFor }: z.infer<typeof told>): string {
  return `sallyport login ${connection}${loginFor === undefined ? '' : ` --caller ${inShell(loginFor)}`}`
}
