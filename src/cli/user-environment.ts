import { delimiter, dirname, join, sep } from 'node:path'

/** What npm adds for its scripts, besides PATH and everything that begins with `npm_`. */
const ADDED = ['INIT_CWD', 'NODE', 'COLOR']

/**
 * The environment of whoever called us: without what npm put there where it was `npm run sallyport` that started us, because
 * the Node of this checkout is nobody else's. Where a script of another package called us, that environment is the user's own.
 */
export function userEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const manifest = env['npm_package_json']
  if (env['npm_package_name'] !== 'sallyport' || env['npm_lifecycle_event'] !== 'sallyport' || manifest === undefined)
    return env
  const kept = Object.entries(env).filter(([name]) => !name.startsWith('npm_') && !ADDED.includes(name))
  return { ...Object.fromEntries(kept), PATH: withoutPackages(env['PATH'] ?? '', dirname(manifest)) }
}

/** npm puts `node_modules/.bin` of the package first, then that of each directory above it, then a directory of its own. */
function withoutPackages(path: string, root: string): string {
  const entries = path.split(delimiter)
  const first = entries.findIndex((entry) => !isOfNpm(entry, root))
  return entries.slice(first === -1 ? entries.length : first).join(delimiter)
}

function isOfNpm(entry: string, root: string): boolean {
  const above = entry.endsWith(BIN) && isWithin(entry.slice(0, -BIN.length), root)
  return above || entry.endsWith(join('run-script', 'lib', 'node-gyp-bin'))
}

const BIN = `${sep}${join('node_modules', '.bin')}`

function isWithin(directory: string, path: string): boolean {
  return path === directory || path.startsWith(`${directory}${sep}`)
}
