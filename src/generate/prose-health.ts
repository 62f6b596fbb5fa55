/** The door of probes; hand-written Markdown like that of prose.ts. */
export const healthText = `The probes of a kubelet and the scrapes of Prometheus come from other machines, and the admin door is on this one alone. This is
a door for them and nothing else: \`/livez\` (the event loop turns), \`/startupz\` (settings are read and the doors of callers are
open: to be answered is the answer), \`/readyz\` (503 while it shuts down; no issuer and no upstream has a say) and, with
\`metrics: true\`, \`/metrics\`. It is not encrypted, knows nobody, answers one request a connection, and keeps
64 of them at most: whoever reaches it cannot take the descriptors of callers, and who holds most of the 64 loses one to who comes.`
