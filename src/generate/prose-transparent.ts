/** What the reference says of transparent doors. */
export const transparentText = `The app is told nothing of a proxy. A rule of nftables redirects its TCP, and the door asks the kernel where it was
going (\`SO_ORIGINAL_DST\`). Linux only; the rules need \`CAP_NET_ADMIN\`, Sallyport itself does not. The least that one
host or pod needs, loaded by \`nft -f\`:

\`\`\`
table inet sallyport {
  chain apps {
    type nat hook output priority -100; policy accept;
    meta skuid 65532 accept
    fib daddr type local accept
    tcp dport { 80, 443 } redirect to :15002
  }
  chain rest {
    type filter hook output priority 0; policy drop;
    fib daddr type local accept
    ct state established,related accept
    meta skuid 65532 accept
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit } accept
    counter
  }
}
\`\`\`

The first chain sends what apps dial to \`127.0.0.1:15002\` and \`[::1]:15002\`, which are two listeners, and leaves out what Sallyport dials,
by the uid that it runs as. The second drops all the rest: UDP (so QUIC; clients fall back to TCP), the DNS of apps, other ports, ICMP. An app
that resolves names by DNS needs \`ip daddr RESOLVER udp dport 53 accept\`, by which it can also tell the resolver whatever it likes. Load
it before the app starts: what is open already goes on. It holds for whoever has no CAP_SETUID, no CAP_NET_RAW (frames go past it) and no
CAP_NET_ADMIN, and not for what is only forwarded: containers with a network of their own need it inside. \`sallyport export nftables\`
prints more: Sallyport held to its own settings, refusals instead of silence, a table that can be loaded again while it is used.

| first bytes | taken as | name | port |
| --- | --- | --- | --- |
| TLS | \`CONNECT\` of the forward door: intercepted, passed unread, or refused by an alert | server name (SNI) | where it was going |
| anything else | \`http://\` of the forward door: leaves as verified HTTPS where the connection says so | \`Host\` | where it was going; for 80, the port of the connection |

- **Where it was going is never dialled.** We dial what our resolver says of the name, once that address has passed. An app that connects to
  an address of its choice, and names an allowed host, reaches the allowed host. The record has the address as \`originalDestination\`, and
  where we dialled as \`upstreamAddress\`. That they differ is usual (content networks, split DNS), and is also what an app looks like whose
  DNS was tampered with, or that tries to get out.
- **No name, no way out**: \`destination-unnamed\` for TLS without a server name, an address instead of a name, \`http://\` without
  \`Host\`, protocols in which the server speaks first (after ten seconds), a connection that closes without a word. Encrypted Client Hello:
  where we answer the TLS, the outer name counts; where it would pass unread it is refused.
- **Who asks** is the \`caller\` of the door: whoever the rules send there. What the kernel says of the user behind TCP (\`ss -e\`,
  \`/proc/net/tcp\`) can be made to be another one; it is good for counting (\`maxSockets\`), and proves nobody. The rules can tell users apart:
  \`meta skuid 1001 ... redirect to :15002\`, \`meta skuid 1002 ... redirect to :15003\`, and a listener for each. What was not redirected is
  \`not-redirected\`, so nobody chooses another one's door. Whoever may write the rules, or run as the uid that they leave out, is beyond all of
  this. Of a user whose browser is redirected, every web page it shows asks in that user's name: leave browsers out.
- **Headers are the app's own.** \`Authorization\` is replaced where the connection injects, and goes on where it does not, as at the forward door.
- **No loop**: a connection that we dialled ourselves and that comes back (the rules forgot our uid) is \`loop-detected\`.

Apps have to trust the authority of \`ca\` where their TLS is intercepted, as behind \`CONNECT\`. Without \`ca\`, TLS is passed unread to
connections that say \`connect: tunnel\`, and refused otherwise.
The audit calls what came by TLS \`CONNECT\`, so that \`policy replay\` and \`suggest\` read it. An alert has no status: the entry has none.`
