/** What the reference says of sockets that systemd opens. */
export const SYSTEMD = `With \`systemd: NAME\` systemd opens the socket, and Sallyport takes it: it is there before Sallyport starts, and callers wait in it
while Sallyport restarts. \`listen\` stays what everything else goes by, so the socket has to be bound to that very address; one
that is missing, unfit, or passed and named nowhere ends the start. The file of a socket is systemd's to make and to remove.
The units are in [deploy/systemd](../deploy/systemd).`

/** And of secrets that it passes. */
export const SYSTEMD_SECRETS = `A credential of systemd (\`LoadCredential=\` and \`LoadCredentialEncrypted=\` of the service) is a file in memory, made for Sallyport alone, of
one that Sallyport cannot read. It is what it was at the start of the service: rotate it by a restart.`
