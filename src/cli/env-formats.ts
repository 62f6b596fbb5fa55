import { KEY_VARIABLE } from './key-line.ts'

/** What is to be printed. */
export interface Printout {
  /** Values by name; `KEY` in one of them stands for the caller's key. */
  readonly variables: Readonly<Record<string, string>>
  readonly caller: string
  /** The caller's key as a shell would read it from its file; undefined where there is none to show. */
  readonly key: string | undefined
  /** What whoever uses them should know. */
  readonly notes: readonly string[]
}

/** Stands for the key of a caller in a value. No value of an environment can hold a zero byte. */
export const KEY = '\0'

/** What stands for it in JSON. */
export const KEY_IN_JSON = `\${${KEY_VARIABLE}}`

/** How the variables can be printed. */
export const formats = { shell, json, kubernetes }
export type Format = keyof typeof formats

/**
 * For `eval "$(...)"` in a shell, which ends there, or gives up on the line when somebody types, where it has no key. The
 * comments come last, because without those quotes a comment would hide all after it.
 */
function shell({ variables, key, notes }: Printout): string {
  const lines = Object.entries(variables).map(([name, value]) => `export ${name}=${inShell(value)}`)
  return ofLines([...(key === undefined ? lines : withKey(key, lines)), ...notes.map(comment)])
}

/**
 * In braces: a bash that somebody types into gives up on the command with the fault, and would go on with the next line. An
 * assignment is what no shell splits at white space. The semicolons are for who has left out the quotes.
 */
function withKey(key: string, lines: readonly string[]): string[] {
  return [`{ ${demanded(key)};`, ...lines.slice(0, -1), `${lines.at(-1)}; }`]
}

function demanded(key: string): string {
  return `${KEY_VARIABLE}=\${${KEY_VARIABLE}:?${inShell(`is not set: export ${KEY_VARIABLE}=${key}`)}}`
}

function json({ variables }: Printout): string {
  const rows = Object.entries(variables).map(([name, value]) => [name, value.replaceAll(KEY, KEY_IN_JSON)])
  return ofLines([JSON.stringify(Object.fromEntries(rows), undefined, 2)])
}

/** The `env` of a container. Strings of JSON are strings of YAML. */
function kubernetes({ variables, caller, key, notes }: Printout): string {
  const rows = Object.entries(variables).map(([name, value]) => [
    `  - name: ${name}`,
    `    value: ${JSON.stringify(inKubernetes(value))}`,
  ])
  const name = secretNameOf(caller)
  const made = `make the secret: kubectl create secret generic ${name} --from-literal=key=${key}`
  const comments = [...(key === undefined ? [] : [made]), ...notes].map(comment)
  return ofLines([...comments, 'env:', ...(key === undefined ? [] : keyFrom(name)), ...rows.flat()])
}

/** First: a value may refer to nothing but what stands before it. */
function keyFrom(name: string): string[] {
  return [
    `  - name: ${KEY_VARIABLE}`,
    '    valueFrom:',
    '      secretKeyRef:',
    `        name: ${name}`,
    '        key: key',
  ]
}

function secretNameOf(caller: string): string {
  return `sallyport-${caller.toLowerCase().replace(/[^a-z0-9]+/g, '-')}`.replace(/-+$/, '')
}

function inShell(value: string): string {
  if (!value.includes(KEY)) return `'${value.replaceAll("'", "'\\''")}'`
  const escaped = value.replace(/[\\"$`]/g, '\\$&').replaceAll(KEY, `\${${KEY_VARIABLE}}`)
  return `"${escaped}"`
}

/** @see https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables */
function inKubernetes(value: string): string {
  return value.replaceAll('$', '$$$$').replaceAll(KEY, `$(${KEY_VARIABLE})`)
}

/** Paths are in notes, and a path may hold a line feed. */
function comment(note: string): string {
  return `# ${note.replaceAll('\n', ' ')}`
}

function ofLines(lines: readonly string[]): string {
  return `${lines.join('\n')}\n`
}
