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
may log in for itself; that of a shared login says which command an operator has to run.

**Logout.** \`sallyport logout CONNECTION\` forgets a login at once: the next request that needs it is refused, and so is one of a
connection that exchanges its token. Then the authorization server is told (RFC 7009): the refresh token, the access token that was
kept with it, and the one in use here are shown at \`revocationEndpoint\`, which the metadata of an \`issuer\` name, with the same
\`clientAuth\` as for a token. The verb says what came of it, and is exit 1 where that was not done; the audit has it as
\`login.revoke\`, with the code \`revocation-failed\`. What may pass (503, no answer) is tried six times within a quarter of an hour, never
earlier than \`Retry-After\` says, by this process alone: a stop ends it, and is recorded as a failure. What lasts is not tried again.
\`sallyport caller remove\` does the same for the caller's own logins. A login that takes the place of another revokes nothing, and
whoever logs in again ends the tries: at some servers, Google for one, one revoked token ends everything that the same person has
consented to for this client, here and elsewhere. Where that is too much, \`revocationEndpoint: none\`. Tokens that other connections got in
exchange end here, and not at their issuers; access tokens that are JWTs are revoked by few servers, and are then told of.

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
