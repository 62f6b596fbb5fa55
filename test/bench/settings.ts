/** What every measurement has: a forward door, a caller with a key, and one connection that it may read from. `more`: beside it. */
export function benchSettings(port: number, more: object = {}): object {
  return {
    listeners: [{ kind: 'forward', listen: '127.0.0.1:0' }],
    allowlist: ['api.bench.test'],
    callers: { bench: { kind: 'api-key', key: { file: 'caller' } } },
    connections: {
      bench: {
        hosts: ['api.bench.test'],
        port,
        tls: { ca: { file: 'ca' } },
        allowPrivate: ['127.0.0.0/8'],
        credential: { kind: 'static', secret: { file: 'credential' } },
      },
    },
    grants: [{ caller: 'bench', connection: 'bench', rules: [{ methods: ['GET'], paths: ['/v1/*'] }] }],
    dns: { hosts: { 'api.bench.test': ['127.0.0.1'] } },
    ...more,
  }
}
