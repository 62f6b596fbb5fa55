/** What is to be printed. */
export interface Printout {
  /** Values by name; `KEY` in one of them stands for the caller's key. */
  readonly variables: Readonly<Record<string, string>>
  readonly caller: string
  /** What whoever uses them should know. */
  readonly notes: readonly string[]
}

/** Stands for the key of a caller in a value. No value of an environment can hold a zero byte. */
export const KEY = '\0'

const KEY_VARIABLE = 'SALLYPORT_KEY'

/** How the variables can be printed. */
export const formats = { shell, json, kubernetes }
export type Format = keyof typeof formats

/** For `eval "$(...)"` in a shell. The comments come last, because without those quotes a comment would hide all after it. */
function shell({ variables, notes }: Printout): string {
  const lines = Object.entries(variables).map(([name, value]) => `export ${name}=${inShell(value)}`)
  return ofLines([...lines, ...notes.map((note) => `# ${note}`)])
}

function json({ variables }: Printout): string {
  const rows = Object.entries(variables).map(([name, value]) => [name, value.replaceAll(KEY, `\${${KEY_VARIABLE}}`)])
  return ofLines([JSON.stringify(Object.fromEntries(rows), undefined, 2)])
}

/** The `env` of a container. Strings of JSON are strings of YAML. */
function kubernetes({ variables, caller, notes }: Printout): string {
  const isKeyed = Object.values(variables).some((value) => value.includes(KEY))
  const rows = Object.entries(variables).map(([name, value]) => [
    `  - name: ${name}`,
    `    value: ${JSON.stringify(inKubernetes(value))}`,
  ])
  const comments = notes.map((note) => `# ${note}`)
  return ofLines([...comments, 'env:', ...(isKeyed ? keyFrom(caller) : []), ...rows.flat()])
}

/** First: a value may refer to nothing but what stands before it. */
function keyFrom(caller: string): string[] {
  const name = `sallyport-${caller.toLowerCase().replace(/[^a-z0-9]+/g, '-')}`.replace(/-+$/, '')
  return [
    `  - name: ${KEY_VARIABLE}`,
    '    valueFrom:',
    '      secretKeyRef:',
    `        name: ${name}`,
    '        key: key',
  ]
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

function ofLines(lines: readonly string[]): string {
  return `${lines.join('\n')}\n`
}
