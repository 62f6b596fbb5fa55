import { basename } from 'node:path'
import { z } from '../../forms/zod.ts'
import { MintedSupply } from '../cache.ts'
import type { Minted } from '../mint.ts'
import { lifetimeFields } from '../token-lifetime.ts'
import { mintedFrom, senseless } from '../told-token.ts'
import { mintageOf, type SourceKind, type SourceTools } from '../tools.ts'
import { readExecAnswer } from './answer.ts'
import { findProgram } from './program.ts'
import { runProgram } from './run-program.ts'

const MAX_BYTES = 65_536

const schema = z
  .strictObject({
    kind: z.literal('exec'),
    command: z
      .array(z.string().regex(/^[^\0]*$/, 'use arguments without a zero byte'))
      .min(1, 'name the program')
      .refine(([program = '']) => /^(?:\/.+|[^/]+)$/.test(program), {
        path: [0],
        message: 'use an absolute path, or the bare name of a program on PATH',
      })
      .meta({
        description:
          'the program, by absolute path or as a bare name that is on the PATH of Sallyport, and its arguments; no shell is between, and no argument may be a secret: other users see them',
      }),
    env: z
      .array(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'use the name of an environment variable'))
      .default([])
      .meta({ description: 'names of further environment variables that it gets, besides `PATH` and `HOME`' }),
    timeoutMs: z
      .int()
      .min(100)
      .max(120_000)
      .default(10_000)
      .meta({ description: 'ms until it is killed, with all that it has started' }),
    ...lifetimeFields,
  })
  .meta({
    description:
      'tokens that a command prints as JSON: an `ExecCredential` of kubectl, `{ token, expiresAt }` or `{ access_token, expires_in }`; run again before they expire',
  })

type Settings = z.infer<typeof schema>

/** Tokens that a command prints. */
export const exec: SourceKind<typeof schema> = {
  schema,
  dials: () => 'unknown',
  build: (settings, tools) =>
    new MintedSupply({ mint: () => mint(settings, tools), secretVersion: () => 0, ...mintageOf(tools) }),
}

async function mint(settings: Settings, { clock, ending }: SourceTools): Promise<Minted> {
  const { command, env, timeoutMs } = settings
  const [program = '', ...args] = command
  const name = basename(program)
  const file = findProgram(program, process.env['PATH'])
  if (file === undefined) throw senseless(`there is no program ${name} that may be run`)
  const sentAt = { wall: clock.now(), monotonic: clock.monotonic() }
  const run = { name, file, args, env: environment(env), timeoutMs, maxBytes: MAX_BYTES, signal: ending }
  const who = `the command ${name}`
  return mintedFrom({ who, sentAt, ...readExecAnswer(await runProgram(run), who) }, settings)
}

/** The environment of Sallyport may hold secrets of other connections. */
function environment(names: readonly string[]): Record<string, string> {
  const passed = ['PATH', 'HOME', ...names].flatMap((name) => {
    const value = process.env[name]
    return value === undefined ? [] : [[name, value] as const]
  })
  return { ...EXEC_INFO, ...Object.fromEntries(passed) }
}

/** Plugins of kubectl look here for the version to answer in, and whether somebody is at a terminal. */
const EXEC_INFO = {
  KUBERNETES_EXEC_INFO:
    '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","spec":{"interactive":false}}',
}
