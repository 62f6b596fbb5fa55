import { credentialTexts } from './prose-credentials.ts'
import { headersText, injectionsText } from './prose-injections.ts'
import { SYSTEMD, SYSTEMD_SECRETS } from './prose-systemd.ts'

/** What the schema cannot say of itself: hand-written Markdown, one text for each section of the reference. */
export const texts = {
  intro: `# Settings

<!-- Made by "npm run generate" from src/settings/schema.ts and src/generate/prose.ts. Edit those. -->

One YAML 1.2 file says everything: where callers knock, who they are, where requests may go, and with which credential.
[example.yaml](example.yaml) is a complete one, [schema.json](schema.json) the JSON Schema of it for editors, and
[problems.md](problems.md) lists every answer by which Sallyport itself says no.

Nothing is guessed. An unknown key is an error, and so is a name that nothing defines. Errors come in the order of the file,
each with its place and the form to use: first what single fields say, all at once; once those are right, what contradicts
itself or names nothing; and then what it refers to and cannot be opened.

\`\`\`text
settings.yaml:14:5 connections.crm.hosts[0]: use "api.example.com": lower case, no trailing dot (was "API.Example.com.")
\`\`\`

\`sallyport check --config FILE\` reads the file, and every secret and certificate that it refers to, exactly as
\`sallyport serve\` would, looks at the authority that is kept and at the directories of sockets, where they are there already and this user may look, and starts nothing. Whether a port is free, the store opens or a file can be written, the start alone finds. It exits with 0 when all is right, and with 2 otherwise; its last line [names the settings](#which-settings-are-served).`,

  allowlist: `Gate 1. A request leaves only if its host is on the allowlist, *and* a connection names that host, *and* a grant lets the
caller use that connection. An empty allowlist lets nothing out.

A host is an exact name, or \`*.suffix\`: any depth below the suffix, never the suffix itself. \`*.example.com\` is
\`a.example.com\` and \`a.b.example.com\`, but not \`example.com\` and not \`evilexample.com\`. Where several match, the most
specific wins: the exact name, then the longest suffix. One host belongs to one connection.

Names are compared in one spelling: lower case, punycode, no final dot. An address is never on the allowlist; \`dns.hosts\`
can pin a name to one. What a name resolves to is checked as well: private, loopback and reserved addresses are refused
unless \`allowPrivate\` of the connection lists them, and the address that was checked is the one that is dialled.

With \`{ hosts: [...], mode: report }\` known callers reach every other name too, and names that no connection has, and the
record says by \`wouldRefuse\` what the answer would have been. Never with a credential: \`http://\` goes out as plain HTTP to
the port that was named, and \`CONNECT\` as an unopened tunnel whose TLS must name that very host. Private addresses, the
doors of this Sallyport and connections that are switched off stay refused, and so does an \`https:\` target.`,

  listeners: `The doors. Without \`tls\` they listen on loopback or on a Unix socket, because nothing between a caller and a door is
encrypted. With \`tls\` they may listen anywhere. What works at a plain door works there too: keep-alive, \`CONNECT\` with TLS
inside, WebSocket. The protocol is HTTP/1.1 over TLS 1.2 or 1.3; a client that insists on HTTP/2 is told so in the handshake.

- Certificate, key and \`clientCa\` are read again when they change, within about two seconds, also in a Kubernetes mount.
  Connections that are open stay; the next one gets the new certificate. Until certificate and key belong together, and
  where the new one has expired, the one before stays in use, and the log says why.
- With \`clientCa\`, and wherever there are \`spiffe\` callers, clients are asked for a certificate. None has to show one: a
  key may prove the caller instead. One that proves nobody is \`certificate-unknown\`, unless a key proves somebody.
- No session is resumed: each connection proves anew who it is. Keep connections open.

At most \`maxSockets\` are open at a door, and at all doors together half of the descriptors that the process may have. Of one too many, whoever
holds most loses the newest, without an answer, whatever is under way on it; \`sallyport_sockets_refused_total\` counts them. So an app that
opens sockets and keeps them does not keep others out, where others can be told from it: by user on a Unix socket and on TCP from this
machine, redirected or not, and by address on TCP from elsewhere (IPv6: by /64). Where a sandbox refuses \`AF_NETLINK\`, and of sockets that
their process has closed, all of loopback is one peer. Give apps of one user that are not to disturb each other a socket or a door each.

A \`forward\` door is what \`HTTP_PROXY\` and \`HTTPS_PROXY\` name. Apps ask it for \`http://HOST/\`, and the request goes out as
verified HTTPS. For \`https://\` they ask by \`CONNECT\`, and the connection says what becomes of that: with \`connect: intercept\`
Sallyport answers the TLS inside by the authority of \`ca\`, and each request in it is judged, injected and recorded like any
other; with \`connect: tunnel\` the bytes pass unread, without a credential; otherwise it is refused. A connection that injects is
intercepted where there is a \`ca\`, without a word about it, and is never passed unread.

A \`transparent\` door is for apps that can be told nothing at all: [below](#transparent-doors).

A \`reverse\` door is a base URL. An app that can be told where its API is needs nothing else. It judges who may address it:

- At a TCP door, with or without \`tls\`, \`Host\` must be \`localhost\`, \`127.0.0.1\`, \`[::1]\`, the listen address or one of
  \`hostnames\`; anything else is 421 \`host-misdirected\`. Otherwise a web page could reach it under a name of its own that
  resolves to it.
- A request that a browser sent for a page of another origin, as \`Sec-Fetch-Site\` or \`Origin\` tell, is 403 \`cross-site\`.
- At a \`unix:\` socket neither is asked: no browser gets there, and its permissions say who may connect.

${SYSTEMD}`,

  callers: `Who may ask, by a name of your choice. The kinds are asked in this order, and the first that knows the caller decides: a
proof that was shown beats the place that the caller stands at.

1. \`api-key\`: a key in \`Proxy-Authorization\` at a forward door. At a reverse door, a key where the app would put the
   upstream's own: the place of the injection, or \`Authorization\`.
2. \`jwt\`: a token of an issuer, in the same places; as the password of a proxy URL, \`http://NAME:TOKEN@host:port\`, beside any
   name but that of another caller. A caller that the settings name goes before one whose name is made of
   claims; a token that two alike would take is refused.
3. \`kubernetes\`: the token of a pod, in the same places.
4. \`spiffe\`: a JWT-SVID, in the same places.
5. \`mtls\` and \`spiffe\`: the certificate that the client showed at a door with \`tls\`.
6. \`socket\`: the door that the request came through.
7. \`unix-peer\`: the process at the other end of the socket, as the kernel tells. \`uid\` and \`gid\` together beat \`uid\`
   alone, which beats \`gid\` alone.

Which to use:

| where the app runs | method | why |
| --- | --- | --- |
| on this machine, as a user of its own | \`unix-peer\`, or a \`socket\` of its own | nothing to store, to leak or to rotate |
| in a container beside Sallyport | \`socket\` on a shared volume | the same; a socket handed on keeps its identity, so its permissions are the proof |
| anywhere, told by \`HTTP_PROXY\` alone | \`api-key\` | **no client can take a rotating token from an environment variable**: it is read once, at start. A local key that is worthless elsewhere may live long, and is rotated here |
| in a pod, with a client that can be told its token for each request | \`kubernetes\` | the cluster rotates it; ask the API server where deleted pods matter within seconds |
| in CI, or a service with an identity of its own | \`jwt\` | the issuer says which repository, branch or job it is; the token ends with the job |

Inside a cluster the metadata of the issuer often lead to an address of a node, where our own token is not shown. Then
name the place of the keys: \`jwks: { url: https://kubernetes.default.svc.cluster.local/openid/v1/jwks }\`.

A token in a file that a program reads once is as good as one in a variable: after its \`exp\`, and \`clockSlackMs\`, it
proves nobody.

A token proves somebody only if its issuer is named here letter by letter, its signature verifies by that issuer's keys
under an allowed algorithm, \`aud\` has our own audience, \`exp\` is there and has not passed, \`nbf\` and \`iat\` are not in the
future, and every claim fits. Keys in the token itself are not looked at. A name made of claims has a \`/\` in it, which no
name of the settings has; whatever else could be meant by it is refused, and nothing is put right. Anything else is
\`token-rejected\`, with the reason in the audit alone; where the keys of the issuer, or a cluster, cannot be asked, it is
\`proof-unverifiable\`, 503, and nobody is let in meanwhile. A verified token is remembered by its digest until it ends, or its key
is withdrawn.

A scope is a ceiling, and a grant a permission: each refuses alone. With \`scopes\`, a request has to be within what one of the
token's scopes reaches, or it is \`scope-insufficient\`.

More than 1,000 wrong proofs a second from one peer (a uid on a socket where the kernel tells it, an address on TCP, of IPv6 a /64) are
answered 429 \`too-many-failures\`; good keys and tokens that are known go on being served. Tokens that nobody has seen yet are
not looked into while that lasts.

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

The port is part of the connection: a request for another port of the host is refused. \`CONNECT HOST:80\` is read as
\`http://HOST/\`, because some clients tunnel that, too.`,

  ...credentialTexts,

  injections: injectionsText,

  headers: headersText,

  grants: `Gate 2. A grant lets one caller, or every caller of a group, use one connection. Where several grants fit, one that says
yes is enough. With rules, a request must match one of them; without, every method and path may pass. A tunnel that passes unread
is not opened by a grant with rules: nobody could judge them in it. \`until\` ends a grant at that very millisecond.

A grant that ends, or is taken back, ends what it let begin, within a second: exchanges, WebSockets, tunnels and waits for a
credential. So does a connection that is switched off, and a caller that is not known any more: a key is looked up again, a
token is good for as long as what it began. What nobody has answered yet is answered 403 \`access-revoked\`; everything else
is cut so that it cannot be taken for whole. Setting the clock back makes no grant last longer.

With \`mode: report\` what matches no rule is let through and recorded as \`wouldRefuse\`, by which
\`sallyport audit search --would-refuse CODE\` finds it. It is never for credentials: only a
grant to a connection with \`credential: { kind: none }\` may say so.

A method is compared exactly: \`GET\` does not include \`HEAD\`. A path is compared as it is sent upstream, base path included
and query left out; upper and lower case differ.

| pattern | matches | does not match |
| --- | --- | --- |
| \`/v1/contacts\` | \`/v1/contacts\` | \`/v1/contacts/\`, \`/V1/contacts\` |
| \`/v1/contacts/*\` | \`/v1/contacts/7\` | \`/v1/contacts/\`, \`/v1/contacts/7/notes\` |
| \`/v1/*.json\` | \`/v1/a.json\` | \`/v1/a.xml\` |
| \`/v1/**\` | \`/v1\`, \`/v1/\`, \`/v1/a/b\` | \`/v2\` |
| \`/v1/**/notes\` | \`/v1/notes\`, \`/v1/a/b/notes\` | \`/v1/a/notes/7\` |

Instead of \`methods\` and \`paths\`, a rule may name operations of an API description (OpenAPI 3.0 or 3.1, YAML or JSON, read with
the settings): exactly their methods, so \`HEAD\` only where it is described, below the path of the servers that are on a host of the
connection. A parameter is one segment, or a part of one. A slash in its value is sent percent-encoded, and that matches
nothing; an operation that needs it gets a rule with \`paths\`. \`sallyport grant --openapi FILE --operations ID,ID\` makes such
rules of a file on the machine of the operator.

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

An environment variable is read once, at start, and other processes of the same user can read it too. Prefer a file.

${SYSTEMD_SECRETS}

A secret in the store is sealed under the store's own key, which itself is in a file or in the environment. A new version is
in use at every instance within a second. \`sallyport check\` does not open the store, and says which secrets it has not seen.`,

  store: `What operators change while Sallyport runs, and what has to be there after a restart. What the settings say is not in it, and
cannot be changed there. No request waits for it: everything is read at start, and changes come in as they are made.

While the store is lost nothing is opened and nothing is closed: what was known goes on for \`staleMs\`, and then every request
is refused until the store is there again. At start it has to be there.

\`sqlite\` is one file on a local disk, mode 0600, in a directory of mode 0700 of the user of Sallyport; a network file system
will not do. Several processes of one machine may share it. A change is on the disk before it is confirmed. To take a backup
while it runs, \`sqlite3 FILE ".backup BACKUP"\`; a copy of the file alone misses what is in \`FILE-wal\`. To put one back, stop
Sallyport, remove \`FILE-wal\` and \`FILE-shm\`, and move the backup into the place of the file.

\`postgres\` is PostgreSQL 13 or later. The user needs a schema where it may create tables, the first of its \`search_path\`; it is
made at the first start, by whichever instance comes first. The URL names a server, or its Unix socket as in
\`postgres://USER@/DATABASE?host=/run/postgresql\`. A server that is not this machine is spoken to over TLS, and proves its name,
whatever \`sslmode\` says; weaker modes are refused. Changes are told with \`LISTEN\`, which a pooler in transaction mode does not
pass on; then \`pollMs\` decides. Each instance holds up to five connections. To take a backup, \`pg_dump\`; to put one back, stop
every instance first.

Secrets are sealed with AES-256-GCM, each bound to its name and version. The key is 32 random bytes, not a passphrase. With
another \`key\`, and the old one in \`previousKeys\`, everything is sealed anew at the next start; then \`previousKeys\` can go. In a
fleet, let every instance know the new key as one of \`previousKeys\` first. A backup of the store is worth nothing without the
key, so keep a copy of that as well, and elsewhere.`,

  ca: `\`{ directory: DIR }\`, with \`bundle: PATH\` beside it where apps of other users are to read that, or \`ephemeral\`. A relative
path starts at the settings file.

The directory is made at the first start, mode 0700, and the key in it never leaves it. At every start, and by \`sallyport ca
rotate\`, the files of the apps are written: the bundle (\`bundle.pem\`, the authorities of this machine and ours), and beside it,
under its name, \`.jks\` for Java (password \`changeit\`), \`.wgetrc\` for \`WGETRC\` and \`.apt.conf\` for \`APT_CONFIG\`; \`sallyport env\`
names them all. A running sidecar serves the old authority until it is started again, and \`sallyport doctor\` says so.

\`ephemeral\` is in memory alone, so that nobody can trust it but the children of \`sallyport run\`, which makes one where the
settings have no \`ca\` at all.`,

  dns: 'How names become addresses. A name in `hosts` is not asked for elsewhere.',

  audit: `One entry for each request, and for each CONNECT, whatever became of it: who asked, for what, what was decided and why, and what came back.
A credential is in it as a fingerprint, and as the name and version of the long-lived secret behind it (\`crm@3\` of the store,
\`file:secrets/crm@1a2b3c4d\` of a file); a query or a body not at all. Changes that operators make are in it too.

Each line ends with \`instance\`, \`run\`, \`seq\`, \`prev\` and \`hash\`: a chain, from which no line can be taken, and into which
none can be put, without its showing. The first line of each run names the last one of the run before. With \`checkpoints\` the
chain is signed, so that nobody without the key can make another one. The hash is the SHA-256 of the line without it:

\`\`\`sh
sed -E 's/,"hash":"[0-9a-f]{64}"\\}$/}/' | tr -d '\\n' | sha256sum
\`\`\`

Every sink gets the same lines. A line is written to its file, or to the spill, before the next thing happens, so it survives
the end of the process, also by \`kill -9\`; when the power goes out, what the disk had not yet taken may be gone, and that shows.
What a database or a collector cannot take now is brought there later, in order; a database knows what it has already, and a
collector may see the last few lines before a crash twice, with the same \`run\` and \`seq\`.`,

  log: 'For operators, on standard error: what went wrong, and why. No secret and no query is in it.',

  admin: `A door of its own, for operators: \`/livez\`, \`/readyz\`, \`/startupz\` and \`/metrics\` for probes and Prometheus, which show
nothing, and below \`/v1\` the admin API, described by [openapi.json](openapi.json), which the door serves at
\`/openapi.json\`. No data door answers for it, and no connection leads to it.

Who may use the API proves it like a caller: by a key or a token as \`Authorization: Bearer\`, or by the process at the other
end of a \`unix:\` socket. The role says how far it goes:

| role | may |
| --- | --- |
| viewer | look: connections, callers, grants, the audit, \`why\`, replay; never the value of a secret |
| granter | also grant and revoke, add and remove callers |
| admin | also switch connections off and on, and set and remove secrets |

Without \`operators\`, root and the user that Sallyport runs as are \`admin\` at a \`unix:\` socket, and at a TCP door there is
nobody: it answers 401, and says what to set. What the settings file says cannot be changed through the API; what is
changed there needs a \`store\`. Every change is in the audit, with who, before and after, and so is every one that was
refused. A request that a browser sends for another origin is refused, and so is a \`Host\` that is no name of the door.

\`/readyz\` is 200 while the doors are open, also where a connection has no credential: it shows the state of each, and requests
for that one are answered by 502 or 503, while the others go on.`,

  problems: `# Problems

<!-- Made by "npm run generate" from src/core/problems.ts and src/generate/prose.ts. Edit those. -->

When Sallyport itself says no, the answer is a problem of RFC 9457 (\`application/problem+json\`):

\`\`\`json
{
  "type": "urn:sallyport:problem:grant-missing",
  "title": "The caller has no grant for this connection",
  "status": 403,
  "detail": "The caller may not use this connection. The operator can add it to \\"grants\\" of the settings, or run \\"sallyport grant\\".",
  "code": "grant-missing",
  "instance": "urn:uuid:0199c6e0-7c11-7d3e-9d27-5d2a4f0f8a11"
}
\`\`\`

It always has the header \`Proxy-Status\` (RFC 9209), as in \`sallyport; error=http_request_denied; details="grant-missing"\`, and
an answer of the upstream never has: by that a program tells whose answer it is. \`instance\` is the id of the audit entry,
where the operator finds the reason (\`sallyport audit search --id INSTANCE\`); the answer itself repeats nothing of the request. Test for \`code\`, which stays the same
for ever; titles and details may change.

\`caller-unknown\`, \`token-rejected\` and \`certificate-unknown\` are 407 at a forward door, and 401 at a reverse door, where
there is no proxy to speak of.`,
} as const
