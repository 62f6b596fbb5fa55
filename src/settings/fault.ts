/** One thing that is wrong with a settings file, and the form to use instead. */
export interface SettingsFault {
  /** Keys and indexes from the top of the file. */
  readonly path: readonly PropertyKey[]
  readonly message: string
  /** The key itself is at fault, not its value. */
  readonly key?: string
}

/** All that is wrong, at once: each as `file:line:col path: what is wrong, and the form to use`. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError'
  readonly lines: readonly string[]

  constructor(lines: readonly string[]) {
    super(lines.join('\n'))
    this.lines = lines
  }
}

/** `connections.crm.hosts[0]`; a name with a dot or anything else unusual in it as `callers["a.b"]`; "" at the top. */
export function pathText(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`
    const name = String(part)
    if (!/^[\w@-]+$/.test(name)) return `${text}[${JSON.stringify(name)}]`
    return text === '' ? name : `${text}.${name}`
  }, '')
}
