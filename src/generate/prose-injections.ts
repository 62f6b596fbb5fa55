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
issuer wants as a nonce is kept for each origin. A request that was refused for want of a nonce alone is sent once more, where it is a
GET, HEAD or OPTIONS without a body; another one gets its 401, and the next has the nonce.`
