/** What the reference says of injections as such; each kind describes itself. */
export const injectionsText = `How the credential enters a request. Whatever a caller put into that place is taken out first, in every spelling, and
the credential comes in exactly once; into each of them, where a kind has several places.

\`placeholder\` is for apps that send nothing without a credential of their own, or that put it where no other kind does: the text
that they send instead is replaced, in the one place that is named. A request that does not have it there exactly once, or has it
in another place of its head or of the body that is looked at, is refused as \`placeholder-misplaced\`: it goes out neither
without the credential nor with the placeholder. A body is read only where it is the place; it is then held whole, up to
\`maxBodyBytes\`, must be JSON or a form in UTF-8 without a \`Content-Encoding\`, and loses its \`Content-Digest\` and its kin.

\`dpop\` is for tokens that are bound to a key (RFC 9449), as a source with \`dpop\` gets them. The key is made at the start and never
leaves the process; each request goes out with a proof of its own, for its method, its URL and this token. What an upstream or an
issuer wants as a nonce is kept for each origin. A request that was refused for want of a nonce alone is sent once more, whatever its
method, since nothing was done (RFC 9449 section 9): where it has no body, or one of at most 64 KiB that has come as a whole by then;
another one gets its 401, and the next has the nonce. A WebSocket handshake is not sent again. \`http-mint\` through such a connection
does the same.

With \`scrubResponses: true\` a connection does not give back what it was sent: an upstream that echoes headers, or prints them in an
error page, would hand the credential to the caller. \`*\` stands in place of each byte of the credential, and of its percent-encoded,
JSON, hexadecimal, UTF-16, base64 and base64url forms, in fields, body and trailers, whatever the borders of the chunks are; the length
stays. \`Accept-Encoding: identity\` is sent, \`Range\` is not, and an answer that comes packed all the same is refused as
\`upstream-malformed\`. It is a defence against upstreams that echo, not against one that helps the caller: it could turn the
credential into something that nobody looks for. It costs a look at each byte, and goes with no WebSocket.`

/** What becomes of the fields of a request and of an answer. */
export const headersText = `A request goes upstream as the caller sent it, but for this:

| what | which |
| --- | --- |
| taken out: they speak of one connection only | \`Connection\` and every field it names, \`Keep-Alive\`, \`TE\`, \`Trailer\`, \`Transfer-Encoding\`, \`Upgrade\` (sent anew for a websocket), \`HTTP2-Settings\`, \`Proxy-Authorization\` and its kin |
| taken out: the place of the credential | the header, query parameter or cookie of the injection; \`Authorization\` wherever Sallyport injects, and wherever it held the caller's key |
| taken out: they tell who asked, or ask for another method, behind our back | \`Forwarded\`, \`X-Forwarded-*\`, \`X-Real-IP\`, \`X-HTTP-Method-Override\`, \`X-HTTP-Method\`, \`X-Method-Override\` |
| written anew | \`Host\`, \`Content-Length\`; \`Expect\` and \`Max-Forwards\` end here |
| with \`scrubResponses\` | \`Accept-Encoding: identity\` in place of the caller's; no \`Grpc-Accept-Encoding\`, \`Range\`, \`If-Range\` |
| with [\`traces\`](#traces), or \`propagateTrace: false\` | \`traceparent\` and \`tracestate\` of our own, or none |
| added | \`Via\`, with a name made up at each start, by which a loop is noticed |

\`_\` counts as \`-\` in a name, because many servers cannot tell the two apart. \`TE: trailers\` is sent anew to an upstream that is
asked over HTTP/2. Of an answer, the fields of one connection, \`Proxy-Status\` and \`Alt-Svc\` are taken out, and
\`WWW-Authenticate\` and \`DPoP-Nonce\` where a credential was injected: the caller could not answer that challenge. Trailers reach a caller that
asked over HTTP/2, as gRPC does, and no other. Cookies pass both ways.`
