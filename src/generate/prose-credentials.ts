import { readdirSync } from 'node:fs'

const WIDTH = 124

/** What there is to begin from, as lines that end in time. */
function examples(): string {
  const files = readdirSync(new URL('../../config/examples', import.meta.url)).filter((file) => file.endsWith('.yaml'))
  const links = files.sort().map((file) => `[${file.replace('.yaml', '')}](examples/${file})`)
  return links.reduce((text, link, index) => {
    const isFull = text.length - text.lastIndexOf('\n') + link.length > WIDTH
    return `${text}${isFull ? '\n' : ' '}${link}${index === links.length - 1 ? '.' : ','}`
  }, '**Examples**, each a whole settings file to begin from:')
}

/** Of the sections of sources, and of how clients prove themselves. */
export const credentialTexts = {
  credentials: `Where the credential of a connection comes from. Callers never see it, and choose nothing about it.

${examples()}

**People.** With \`authorization-code\` somebody consents once, and the connection acts for that person from then on: for
every caller (\`identity: shared\`), or each caller for its own person. \`sallyport login CONNECTION\`, with \`--caller NAME\`
where each has its own, opens the page; \`--no-browser\` prints an address for a browser anywhere, and takes the one that it ends
at. Register \`ADMIN/login/CONNECTION/callback\` with the authorization server, letter by letter, where \`ADMIN\` is \`admin.url\`, or
\`http://\` and \`admin.listen\`. A caller without a login is answered 403 \`login-required\`, with an address where it, and nobody else,
may log in for itself; that of a shared login says which command an operator has to run. \`sallyport logout\` forgets a login at
once; the authorization server is not told.

A login without a refresh token is refused: it would work for an hour. Ask for one by \`scope: ... offline_access\`, or at Google
by \`authorizationParams: { access_type: offline, prompt: consent }\`; at GitHub let user tokens of the app expire, at Slack turn
token rotation on.

**Refresh tokens** (\`authorization-code\`, \`refresh-token\`) are sealed in the store. One process at a time spends one, and the others
use what it got; the one that came back is durable before its token is used. Where the answer to a refresh was lost, the same one
is shown again, at most once a minute, until the authorization server says what became of it. One that is taken no more (\`invalid_grant\`) is not shown again: somebody has to log in, or
write another one to where \`refreshToken\` refers to. \`sallyport doctor\` spends none.`,

  clientAuth: `How a client proves to an authorization server who it is: \`clientAuth\` of every source that asks a token endpoint. A
way without settings of its own may be written as its name alone: \`clientAuth: body\`.`,
}
