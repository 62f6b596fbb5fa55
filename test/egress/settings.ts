import type { Pods } from '../../src/egress/pods.ts'
import { parseSettings } from '../../src/settings/load.ts'
import type { Settings } from '../../src/settings/schema.ts'

/** Settings of a text, which refers to nothing that has to be there. */
export async function settingsOf(text: string): Promise<Settings> {
  const { settings } = await parseSettings(text, 'sallyport.yaml')
  return settings
}

/** Something of everything that a policy has to tell apart. */
export const WHOLE = `
listeners:
  - { kind: reverse, listen: 0.0.0.0:15443, tls: { certificate: { file: door.pem }, key: { file: door.key } }, connection: crm }
  - { kind: forward, listen: 127.0.0.1:15001 }
health: { listen: 0.0.0.0:15091 }
allowlist: [ api.crm.test, "*.files.test", pinned.test ]
dns: { hosts: { pinned.test: [ 10.20.0.7 ] } }
audit: { sinks: [ { kind: otlp, endpoint: "https://collector.test:4318/v1/logs" } ] }
callers:
  pods:
    kind: kubernetes
    apiServer: https://kubernetes.default.svc.cluster.local
    token: { file: token }
    audience: egress
    allowPrivate: [ 10.96.0.0/12 ]
connections:
  crm:
    hosts: [ api.crm.test ]
    credential: { kind: client-credentials, tokenEndpoint: https://login.crm.test/token, clientId: a, clientSecret: { file: s } }
  files:
    hosts: [ "*.files.test" ]
    port: 8443
    credential: { kind: client-credentials, issuer: https://login.crm.test, clientId: a, clientSecret: { file: s } }
  pinned:
    hosts: [ pinned.test ]
    allowPrivate: [ 10.20.0.0/16 ]
    credential: { kind: none }
`

/** A gateway for pods of the same namespace. */
export const PODS: Pods = {
  shape: 'gateway',
  apps: { key: 'app', value: 'shop' },
  sallyport: { key: 'app.kubernetes.io/name', value: 'sallyport' },
  namespace: undefined,
  appsNamespace: undefined,
  clusterDomain: 'cluster.local',
}
