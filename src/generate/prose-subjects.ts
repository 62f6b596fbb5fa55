/** Hand-written Markdown about tokens that are exchanged, as in prose.ts. */
export const subjectsText = `Where a token comes from that is exchanged for another one: \`subject\` and \`actor\` of the sources that do so. Whoever
shows another token is another subject, and no two of them share a credential. A credential never outlives the token that it
was given for, whatever the issuer promises; a token that has expired is not shown to the issuer at all.

A caller from whose proof nobody can be made (a key in place of a token, a claim that is not in the map, a field from a
caller that is not trusted to set it) is refused as \`identity-missing\`. Each entry of the audit names the token behind the
credential as \`subject\`, by its fingerprint, and as \`actsAs\` the client that a claim has chosen.`
