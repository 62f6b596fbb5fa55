import { findProgram } from '../credentials/exec/program.ts'
import type { SettingsFault } from './fault.ts'
import type { Settings } from './schema.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** Programs of credentials that cannot be run, and variables that they are to get and nobody has set. */
export function programFaults({ connections }: Settings, environment: Environment): SettingsFault[] {
  return Object.entries(connections).flatMap(([name, { credential }]) => {
    if (credential.kind !== 'exec') return []
    const at = ['connections', name, 'credential']
    const unset = credential.env.flatMap((variable, index) =>
      environment[variable] === undefined
        ? [{ path: [...at, 'env', index], message: `${variable} is not set: set it, or leave it out` }]
        : [],
    )
    if (findProgram(credential.command[0] ?? '', environment['PATH']) !== undefined) return unset
    const message = 'use the absolute path of a program that may be run, or the name of one on PATH'
    return [{ path: [...at, 'command', 0], message }, ...unset]
  })
}
