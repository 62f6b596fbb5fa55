import type { Rule } from '../core/rule.ts'
import type { Aim, SuggestedGrant, Suggestion } from './suggestion.ts'

/**
 * A suggestion as a part of a settings file: `connections` beside those that are there, `allowlist` and `grants` in place of
 * them, or beside them where it is about what was refused. Every text is in double quotes, which JSON and YAML read alike.
 */
export function suggestionYaml(suggestion: Suggestion): string {
  const { aim, allowlist, connections, grants, missing, notes, commands, asks, since, until } = suggestion
  const from = since === undefined ? '' : ` from ${since} to ${until}`
  const lines = [
    `# ${OPENINGS[aim](`${asks} asks${from}`)} Queries are not recorded, so nothing here is about them.`,
    ...missing.map((text) => `# Missing today: ${JSON.stringify(text)}`),
    ...notes.map((note) => `# Not in here: ${JSON.stringify(note)}`),
    ...commands.map((command) => `# For a caller that is not in the settings: ${command}`),
    ...section(
      'allowlist',
      allowlist.map((host) => `  - ${JSON.stringify(host)}`),
    ),
    ...(connections.length === 0 ? [] : connectionLines(connections)),
    ...section('grants', grants.flatMap(grantLines)),
  ]
  return `${lines.join('\n')}\n`
}

const OPENINGS: Readonly<Record<Aim, (asks: string) => string>> = {
  passed: (asks) => `What ${asks} needed.`,
  refused: (asks) => `What ${asks} lacked; all of it belongs beside what is there.`,
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

function grantLines({ caller, group, connection, rules, until }: SuggestedGrant): readonly string[] {
  return [
    `  - ${caller === undefined ? `group: ${JSON.stringify(group)}` : `caller: ${JSON.stringify(caller)}`}`,
    `    connection: ${JSON.stringify(connection)}`,
    ...(until === undefined ? [] : [`    until: ${JSON.stringify(new Date(until).toISOString())}`]),
    ...(rules === undefined ? [] : ['    rules:', ...rules.flatMap(ruleLines)]),
  ]
}

function ruleLines({ methods = [], paths }: Rule): readonly string[] {
  return [
    `      - methods: [${methods.map((method) => JSON.stringify(method)).join(', ')}]`,
    ...(paths ? ['        paths:', ...paths.map((path) => `          - ${JSON.stringify(path)}`)] : []),
  ]
}
