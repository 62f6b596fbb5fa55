import type { Rule } from '../core/rule.ts'
import type { Suggestion } from './suggest.ts'

/**
 * A suggestion as a part of a settings file: `allowlist` and `grants` in place of those that are there, `connections` beside
 * them. Every text is in double quotes, which JSON and YAML read alike.
 */
export function suggestionYaml({ allowlist, connections, grants, notes, asks, since, until }: Suggestion): string {
  const from = since === undefined ? '' : ` from ${since} to ${until}`
  const lines = [
    `# What ${asks} asks${from} needed. Queries are not recorded, so nothing here is about them.`,
    ...notes.map((note) => `# Not in here: ${JSON.stringify(note)}`),
    ...section(
      'allowlist',
      allowlist.map((host) => `  - ${JSON.stringify(host)}`),
    ),
    ...(connections.length === 0 ? [] : connectionLines(connections)),
    ...section('grants', grants.flatMap(grantLines)),
  ]
  return `${lines.join('\n')}\n`
}

function section(key: string, lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? [`${key}: []`] : [`${key}:`, ...lines]
}

function connectionLines(connections: Suggestion['connections']): readonly string[] {
  return [
    '# Beside those that are there. What went out as plain HTTP goes as verified HTTPS by these.',
    'connections:',
    ...connections.map(({ name, host, port, isTunnelled }) => {
      const at = port === undefined ? '' : `, port: ${port}`
      const connect = isTunnelled ? ', connect: tunnel' : ''
      return `  ${JSON.stringify(name)}: { hosts: [${JSON.stringify(host)}]${at}, credential: { kind: none }${connect} }`
    }),
  ]
}

function grantLines({ caller, connection, rules }: Suggestion['grants'][number]): readonly string[] {
  const lines = [`  - caller: ${JSON.stringify(caller)}`, `    connection: ${JSON.stringify(connection)}`]
  return rules === undefined ? lines : [...lines, '    rules:', ...rules.flatMap(ruleLines)]
}

function ruleLines({ methods = [], paths = [] }: Rule): readonly string[] {
  return [
    `      - methods: [${methods.map((method) => JSON.stringify(method)).join(', ')}]`,
    '        paths:',
    ...paths.map((path) => `          - ${JSON.stringify(path)}`),
  ]
}
