import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { aptConfigOf, clientFilesOf, wgetrcOf } from '../ca/client-files.ts'
import { inShell } from '../forms/in-shell.ts'
import type { TrustFiles } from './child-environment.ts'

/** What a sidecar has written for the apps of a user, and what a variable would take from that user. */
export interface PublishedTrust {
  readonly trust: TrustFiles
  /** What to do by hand, because a variable would put ours in the place of the user's own file. */
  readonly notes: readonly string[]
}

/** Beside a bundle lie the files of wget, apt and Java. `env`: of whoever is to use them. */
export function publishedTrust(bundle: string, env: NodeJS.ProcessEnv): PublishedTrust {
  const { truststore, wgetrc, aptConfig } = clientFilesOf(bundle)
  const ownWgetrc = usersWgetrc(bundle, env)
  const ownAptConfig = other(env['APT_CONFIG'], aptConfig)
  return {
    trust: {
      bundle,
      truststore,
      ...(ownWgetrc === undefined && { wgetrc }),
      ...(ownAptConfig === undefined && { aptConfig }),
    },
    notes: [
      ...(ownWgetrc === undefined ? [] : [`wget reads ${ownWgetrc}: ${appending(wgetrcOf(bundle), ownWgetrc)}`]),
      ...(ownAptConfig === undefined
        ? []
        : [`apt reads ${ownAptConfig}: ${appending(aptConfigOf(bundle), ownAptConfig)}`]),
    ],
  }
}

/** The line that makes wget trust a bundle: by a variable, where that takes no file from the user. */
export function wgetLine(bundle: string, env: NodeJS.ProcessEnv): string {
  const own = usersWgetrc(bundle, env)
  return own === undefined ? `export WGETRC=${inShell(clientFilesOf(bundle).wgetrc)}` : appending(wgetrcOf(bundle), own)
}

/** The file that WGETRC would take the place of. @see wget(1): without WGETRC it is ~/.wgetrc */
function usersWgetrc(bundle: string, { WGETRC, HOME }: NodeJS.ProcessEnv): string | undefined {
  if (WGETRC) return other(WGETRC, clientFilesOf(bundle).wgetrc)
  const usual = HOME ? join(HOME, '.wgetrc') : undefined
  return usual !== undefined && existsSync(usual) ? usual : undefined
}

function other(file: string | undefined, ours: string): string | undefined {
  return file && file !== ours ? file : undefined
}

function appending(line: string, file: string): string {
  return `echo ${inShell(line.trimEnd())} >> ${inShell(file)}`
}
