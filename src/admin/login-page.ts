/** What a page says. All of it is text; whatever is put in is escaped. */
export interface LoginPage {
  readonly title: string
  readonly lines: readonly string[]
  /** Where to go on, and as what. */
  readonly link?: { readonly href: string; readonly text: string } | undefined
  /** A command, to be copied. */
  readonly command?: string | undefined
}

/** A page of no scripts, no styles but its own, and no forms. */
export function htmlOf({ title, lines, link, command }: LoginPage): string {
  const body = [
    `<h1>${escaped(title)}</h1>`,
    ...lines.map((line) => `<p>${escaped(line)}</p>`),
    ...(command === undefined ? [] : [`<pre>${escaped(command)}</pre>`]),
    ...(link ? [`<p><a href="${escaped(link.href)}" rel="noreferrer">${escaped(link.text)}</a></p>`] : []),
  ]
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>${escaped(title)}</title><style>${STYLE}</style></head>
<body><main>
${body.join('\n')}
</main></body>
</html>
`
}

/** The one style there is; the page says its digest, and no other style counts. */
export const STYLE = 'main{max-width:40em;margin:4em auto;font:1rem/1.5 sans-serif}a{font-weight:bold}'

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

function escaped(text: string): string {
  return text.replaceAll(/[&<>"']/g, (char) => ENTITIES[char] ?? '').replaceAll(/\p{C}/gu, '?')
}
