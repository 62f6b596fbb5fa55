/** What a door with a face answers; hand-written Markdown like that of prose.ts. */
export const faceText = `With \`face: unity-catalog\` a reverse door is what code for HTTP connections of Databricks Unity Catalog expects; only its base
URL has to change, and its token becomes the caller key. It answers two paths:

- \`/api/2.0/unity-catalog/connections/NAME/proxy\`, with what follows it, by GET, POST, PUT, PATCH and DELETE: host and
  \`basePath\` of the connection, then the rest, which may also be nothing.
- \`POST /api/2.0/external-function\`: a JSON object, 1 MiB at most, of \`connection_name\`, \`method\`, \`path\` and, as JSON in
  a text each, \`headers\`, \`params\` and \`json\`. With \`sub_domain\` the host is that name below the first exact host,
  where \`hosts\` of the connection have it, too. What goes upstream is judged, and recorded, as if it had been asked for itself.

\`Authorization\`, \`Cookie\` and \`X-Databricks-*\` of the caller go no further. Refusals come in the envelope of Databricks, with
the code of [problems.md](problems.md) as \`reason\` in \`details\`; without a grant the answer is the same whether there is such a
connection, and whether the door has it, or not. Answers of the upstream pass as they are, compressed or not.`
