/** How settings change while Sallyport runs; hand-written Markdown like that of prose.ts. */
export const reloadText = `On \`SIGHUP\`, and with \`serve --watch\` whenever the file is another (a ConfigMap that the kubelet has swapped, too), the settings are
read again. They are taken in whole or not at all. What may change is \`allowlist\`, \`callers\`, \`connections\` and \`grants\`: the
very next request is decided by them, and what is under way and would be refused by them is cut. A connection that is the same
keeps its token, its sockets and its requests in flight; of one that is another, what is in flight ends as it began, and where its
\`credential\` is the same, the token goes on: nobody has to log in again. A caller whose own settings are others is another, whatever its
name, and what it has begun is cut.

Everything else is read at the start alone (doors, \`store\`, \`audit\`, \`ca\`, \`dns\`, ...), and so is what follows from it: hosts that are to
be intercepted and were not at the start, because the authority does not name them (fewer of them will do; one that is kept in a directory names them only after
\`sallyport ca rotate\`, and without it the restart is refused); and whether there are
\`unix-peer\` or \`spiffe\` callers, because the doors ask for them. Settings that change one of those, or that have a fault, or whose secrets
cannot be opened, change nothing: the log has each place, \`sallyport_settings_stale\` is 1 until others have been taken in, and the audit
has a change \`settings.reload\` with a code. Secrets and certificates need none of this: their files are watched.

The file is read when two looks in a row, half a second apart, have found the very same: half of a file that is being written may be
right in itself. Best is to write another file, and to move that into its place. What does not come to rest within a second, is no regular
file, or may be written by everybody, is refused; so is what goes by an API description that everybody may write to. A pipe will do for a start alone. To parse the file takes one to two milliseconds for
each kilobyte, in which no request gets its turn.

A caller is its name. Where somebody else takes over a name, end what its predecessor has consented to first: \`sallyport logout
CONNECTION --caller NAME\`.

### Which settings are served

One digest names them everywhere: the last line that \`sallyport check\` prints, \`settingsDigest\` in the line that says \`ready\`, in the log of a reload and in the first line of each run in the audit, \`digest\` of \`before\` and \`after\` in the change
\`settings.reload\`, and the label of \`sallyport_settings_info\`. So a pipeline can hold what is served against what was reviewed, and whoever
looks at a metric finds who changed what.

It is the SHA-256 of the file as it lies there, comments and all, in hex, as \`sha256sum FILE\` says it. Where rules name operations of API
descriptions, these decide, too: then it is that of the lines which \`sha256sum\` begins with, of the file and of each description in the order
in which it first names them: \`sha256sum FILE DESCRIPTION... | cut -c1-64 | sha256sum\`. What the file refers to besides (secrets, keys,
certificates) is not in it, nor is what operators have added; a preset is as the version has it. A description that changes is read with
the settings: send \`SIGHUP\`.`
