import { presets } from '../settings/presets/registry.ts'
import { code, prose, table } from './markdown.ts'

const INTRO = `A connection to a well-known service can leave what is the same for everybody to a preset: \`preset: NAME\`, or
\`{ name: NAME }\` with its parameters. It is data, which \`sallyport preset show NAME\` prints: for each kind of credential the
endpoints, their quirks and the injection. What a connection says itself goes before it, and mappings
(\`tokenParams\`, \`authorizationParams\`, \`assertion\`) are put together. Where a
preset had a part in what is wrong, the message names it.`

/** The presets there are, as a section of the reference. */
export function presetsText(): string {
  const rows = [...presets].map(([name, { about, kinds, parameters }]) => [
    code(name),
    prose(about),
    Object.keys(kinds).map(code).join(', '),
    Object.entries(parameters)
      .map(([parameter, { about: meaning, default: usual, isFirstHost }]) => {
        const otherwise = isFirstHost
          ? ' (the first exact host, unless said)'
          : usual === undefined
            ? ''
            : ` (${code(usual)}, unless said)`
        return `${code(parameter)}: ${prose(meaning)}${otherwise}`
      })
      .join('; '),
  ])
  return `${INTRO}\n\n${table(['preset', 'for', 'kinds of credential', 'parameters'], rows)}`
}
