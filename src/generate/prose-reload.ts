/** How settings change while Sallyport runs; hand-written Markdown like that of prose.ts. */
export const reloadText = `On \`SIGHUP\`, and with \`serve --watch\` whenever the file is another (a ConfigMap that the kubelet has swapped, too), the settings are
read again. They are taken in whole or not at all. What may change is \`allowlist\`, \`callers\`, \`connections\` and \`grants\`: the
very next request is decided by them, and what is under way and would be refused by them is cut. A connection that is the same
keeps its token, its sockets and its requests in flight; of one that is another, what is in flight ends as it began. A caller whose own
settings are others is another, whatever its name, and what it has begun is cut.

Everything else is read at the start alone (doors, \`store\`, \`audit\`, \`ca\`, \`dns\`, ...), and so is what follows from it: which hosts
are intercepted, because the authority names them; whether there are \`unix-peer\` or \`spiffe\` callers, because the doors ask
for them; and connections that keep logins. Settings that change one of those, or that have a fault, or whose secrets cannot be
opened, change nothing: the log has each place, \`sallyport_settings_stale\` is 1 until others have been taken in, and the audit has a
change \`settings.reload\` with a code. Secrets and certificates need none of this: their files are watched.

A caller is its name. Where somebody else takes over a name, end what its predecessor has consented to first: \`sallyport logout
CONNECTION --caller NAME\`.`
