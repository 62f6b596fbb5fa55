import { Problem } from '../../core/problem.ts'

const NAME = '[A-Za-z0-9._-]+'
const REST = new RegExp(`^/repos/(${NAME})/(${NAME})(?:/|$)`)
const GIT = new RegExp(
  `^/(${NAME})/(${NAME}?)(?:\\.git)?/(?:info/refs|info/lfs|git-upload-pack|git-receive-pack)(?:/|$)`,
)

/** Whose repositories may be named. */
export interface Repositories {
  readonly owner: string
  /** Those alone; without it every one of the owner. */
  readonly names: readonly string[] | undefined
  /** Path before that of the REST API: "/api/v3" of GitHub Enterprise, else "". */
  readonly base: string
}

/**
 * The repository that a path is about, in lower case: of the REST API, or of git over HTTP. A name in percent-encoding is
 * none: whoever reads the path behind us might see another.
 * @throws Problem `credential-failed` when it is about none, or about one that is not ours
 */
export function repositoryOf(path: string, { owner, names, base }: Repositories): string {
  const rest = path.startsWith(`${base}/`) ? REST.exec(path.slice(base.length)) : null
  const [, whose, name] = rest ?? GIT.exec(path) ?? []
  if (whose === undefined || name === undefined)
    throw refused('the path names no repository, and each token is for one')
  if (whose.toLowerCase() !== owner.toLowerCase()) throw refused('the path names a repository of another owner')
  const key = name.toLowerCase()
  if (names && !names.some((one) => one.toLowerCase() === key))
    throw refused('the path names a repository that is not among `repositories`')
  return key
}

function refused(reason: string): Problem {
  return new Problem('credential-failed', { reason })
}
