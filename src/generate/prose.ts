/** What the schema cannot say of itself: hand-written Markdown, one text for each section of the reference. */
export const texts = {
  intro: `# Settings

<!-- Made by "npm run generate" from src/settings/schema.ts and src/generate/prose.ts. Edit those. -->

One YAML 1.2 file says everything: where callers knock, who they are, where requests may go, and with which credential.
[example.yaml](example.yaml) is a complete one, [schema.json](schema.json) the JSON Schema of it for editors, and
[problems.md](problems.md) lists every answer by which Sallyport itself says no.

Nothing is guessed. An unknown key is an error, and so is a name that nothing defines. All errors come at once, in the
order of the file, each with its place and the form to use:

\`\`\`text
settings.yaml:14:5 connections.crm.hosts[0]: use "api.example.com": lower case, no trailing dot (was "API.Example.com.")
\`\`\`

\`sallyport check --config FILE\` reads the file, and every secret and certificate that it refers to, exactly as
\`sallyport serve\` would, and starts nothing. It exits with 0 when all is right, and with 2 otherwise.`,

  allowlist: `Gate 1. A request leaves only if its host is on the allowlist, *and* a connection names that host, *and* a grant lets the
caller use that connection. An empty allowlist lets nothing out.

A host is an exact name, or \`*.suffix\`: any depth below the suffix, never the suffix itself. \`*.example.com\` is
\`a.example.com\` and \`a.b.example.com\`, but not \`example.com\` and not \`evilexample.com\`. Where several match, the most
specific wins: the exact name, then the longest suffix. One host belongs to one connection.

Names are compared in one spelling: lower case, punycode, no final dot. An address is never on the allowlist; \`dns.hosts\`
can pin a name to one. What a name resolves to is checked as well: private, loopback and reserved addresses are refused
unless \`allowPrivate\` of the connection lists them, and the address that was checked is the one that is dialled.`,

  listeners: `The doors. Without \`tls\` they listen on loopback or on a Unix socket, because nothing between a caller and a door is
encrypted. With \`tls\` they may listen anywhere. What works at a plain door works there too: keep-alive, \`CONNECT\` with TLS
inside, WebSocket. The protocol is HTTP/1.1 over TLS 1.2 or 1.3; a client that insists on HTTP/2 is told so in the handshake.

- Certificate, key and \`clientCa\` are read again when they change, within about two seconds, also in a Kubernetes mount.
  Connections that are open stay; the next one gets the new certificate. Until certificate and key belong together, and
  where the new one has expired, the one before stays in use, and the log says why.
- With \`clientCa\`, and wherever there are \`spiffe\` callers, clients are asked for a certificate. None has to show one: a
  key may prove the caller instead. One that proves nobody is \`certificate-unknown\`, unless a key proves somebody.
- No session is resumed: each connection proves anew who it is. Keep connections open.

A \`forward\` door is what \`HTTP_PROXY\` names. Apps ask it for \`http://HOST/\`, and the request goes out as verified HTTPS.
\`CONNECT\` is refused: inside of that tunnel nothing could be injected.

A \`reverse\` door is a base URL. An app that can be told where its API is needs nothing else. It judges who may address it:

- At a TCP door, with or without \`tls\`, \`Host\` must be \`localhost\`, \`127.0.0.1\`, \`[::1]\`, the listen address or one of
  \`hostnames\`; anything else is 421 \`host-misdirected\`. Otherwise a web page could reach it under a name of its own that
  resolves to it.
- A request that a browser sent for a page of another origin, as \`Sec-Fetch-Site\` or \`Origin\` tell, is 403 \`cross-site\`.
- At a \`unix:\` socket neither is asked: no browser gets there, and its permissions say who may connect.`,

  callers: `Who may ask, by a name of your choice. The kinds are asked in this order, and the first that knows the caller decides: a
proof that was shown beats the place that the caller stands at.

1. \`api-key\`: a key in \`Proxy-Authorization\` at a forward door. At a reverse door, a key where the app would put the
   upstream's own: the place of the injection, or \`Authorization\`.
   A JWT-SVID of a \`spiffe\` caller stands in the same places.
2. \`mtls\` and \`spiffe\`: the certificate that the client showed at a door with \`tls\`.
3. \`socket\`: the door that the request came through.
4. \`unix-peer\`: the process at the other end of the socket, as the kernel tells. \`uid\` and \`gid\` together beat \`uid\`
   alone, which beats \`gid\` alone.

A wrong key in \`Proxy-Authorization\` is refused, whatever the door or the kernel know: it was meant for Sallyport alone. At
a reverse door it may be a placeholder that the app insists on, so the next kind is asked. Two keys at once prove nobody.

**Certificates.** \`mtls\` is for certificates that \`clientCa\` of the door vouches for. A name is compared whole, case apart where it
means nothing; a wildcard in a certificate is nobody. A certificate that fits two callers is neither; a fingerprint beats
names, and a name beats a template. One that vouches for itself is good only where \`clientCa\` lists that very one. \`spiffe\` asks nothing of \`clientCa\`: the trust domain in the certificate says which
bundle has to vouch for it, and no other bundle can. Both are judged anew at each request: a certificate that expires, or whose
authority is taken off the list, is refused on the connection that is open. Revocation lists are not read; use certificates
that live for hours, or take the grant away.

**Names that a template makes** have a \`/\` in them, which names in \`callers\` cannot have, so nobody can be named like one of
those. Grants name them whole: \`caller: prod.example.org/ns/shop/sa/web\`.`,

  connections: `A named upstream: its hosts, the credential that it wants, and how that enters a request. An upstream is spoken to over
verified TLS; what weakens that is called \`unsafe\`, and is off.

The port is part of the connection: a request for another port of the host is refused.`,

  credentials: 'Where the credential of a connection comes from. Callers never see it, and choose nothing about it.',

  injections: `How the credential enters a request. Whatever a caller put into that place is taken out first, in every spelling, and
the credential comes in exactly once.`,

  headers: `A request goes upstream as the caller sent it, but for this:

| what | which |
| --- | --- |
| taken out: they speak of one connection only | \`Connection\` and every field it names, \`Keep-Alive\`, \`TE\`, \`Trailer\`, \`Transfer-Encoding\`, \`Upgrade\` (sent anew for a websocket), \`HTTP2-Settings\`, \`Proxy-Authorization\` and its kin |
| taken out: the place of the credential | the header or query parameter of the injection; \`Authorization\` wherever Sallyport injects, and wherever it held the caller's key |
| taken out: they tell who asked, or ask for another method, behind our back | \`Forwarded\`, \`X-Forwarded-*\`, \`X-Real-IP\`, \`X-HTTP-Method-Override\`, \`X-HTTP-Method\`, \`X-Method-Override\` |
| written anew | \`Host\`, \`Content-Length\`; \`Expect\` and \`Max-Forwards\` end here |
| added | \`Via\`, with a name made up at each start, by which a loop is noticed |

\`_\` counts as \`-\` in a name, because many servers cannot tell the two apart. Of an answer, the fields of one connection,
\`Proxy-Status\`, \`Alt-Svc\` and trailers are taken out, and \`WWW-Authenticate\` where a credential was injected: the caller could
not answer that challenge. Cookies pass both ways.`,

  grants: `Gate 2. A grant lets one caller use one connection. Where several grants fit, one that says yes is enough. With rules, a
request must match one of them; without, every method and path may pass. \`until\` ends a grant at that very millisecond.

A method is compared exactly: \`GET\` does not include \`HEAD\`. A path is compared as it is sent upstream, base path included
and query left out; upper and lower case differ.

| pattern | matches | does not match |
| --- | --- | --- |
| \`/v1/contacts\` | \`/v1/contacts\` | \`/v1/contacts/\`, \`/V1/contacts\` |
| \`/v1/contacts/*\` | \`/v1/contacts/7\` | \`/v1/contacts/\`, \`/v1/contacts/7/notes\` |
| \`/v1/*.json\` | \`/v1/a.json\` | \`/v1/a.xml\` |
| \`/v1/**\` | \`/v1\`, \`/v1/\`, \`/v1/a/b\` | \`/v2\` |
| \`/v1/**/notes\` | \`/v1/notes\`, \`/v1/a/b/notes\` | \`/v1/a/notes/7\` |

Only a path that has *one reading* can match a pattern. Servers differ about \`//\`, \`.\` and \`..\` as segments, a backslash, and
all of these percent-encoded (\`%2e%2e\`, \`%2f\`, \`%252f\`) or with a parameter (\`..;x\`), so \`/v1/../admin\` may be either of two
places, and is refused wherever \`paths\` or \`basePath\` have a say. The bytes that were judged are the bytes that are sent.`,

  secrets: `A secret never stands in a settings file. What stands there is where it is kept, and a value in its place is an error that
does not repeat it.

A file belongs to the user of Sallyport, or to root, and nobody else may open it: \`chmod 600\`. It holds the secret alone, as
UTF-8, at most 64 KiB; one final newline is cut off. A symbolic link must not lead out of its directory. A change is taken
in within about two seconds, whether the file was written in place, or replaced, or its directory swapped. If the new
content is not usable, the log says so, and the secret read before stays in use.

In a Kubernetes mount the modes are the cluster's to choose, so others may read there, but not write. Mount the whole
volume: one that is mounted with \`subPath\` is **never updated**, and a rotated secret would not arrive.

An environment variable is read once, at start, and other processes of the same user can read it too. Prefer a file.`,

  dns: 'How names become addresses. A name in `hosts` is not asked for elsewhere.',

  audit: `One entry for each request, whatever became of it: who asked, for what, what was decided and why, and what came back.
A credential is in it as a fingerprint only, and a query or a body not at all.`,

  log: 'For operators, on standard error: what went wrong, and why. No secret and no query is in it.',

  admin: 'For probes and for Prometheus. It needs no key, so give it a loopback address or a socket of its own.',

  problems: `# Problems

<!-- Made by "npm run generate" from src/core/problems.ts and src/generate/prose.ts. Edit those. -->

When Sallyport itself says no, the answer is a problem of RFC 9457 (\`application/problem+json\`):

\`\`\`json
{
  "type": "urn:sallyport:problem:grant-missing",
  "title": "The caller has no grant for this connection",
  "status": 403,
  "detail": "The caller does not have USE CONNECTION here. The operator can add it to \\"grants\\".",
  "code": "grant-missing",
  "instance": "urn:uuid:0199c6e0-7c11-7d3e-9d27-5d2a4f0f8a11"
}
\`\`\`

It always has the header \`Proxy-Status\` (RFC 9209), as in \`sallyport; error=http_request_denied; details="grant-missing"\`, and
an answer of the upstream never has: by that a program tells whose answer it is. \`instance\` is the id of the audit entry,
where the operator finds the reason; the answer itself repeats nothing of the request. Test for \`code\`, which stays the same
for ever; titles and details may change.

\`caller-unknown\` and \`certificate-unknown\` are 407 at a forward door, and 401 at a reverse door, where there is no proxy to speak of.`,
} as const
