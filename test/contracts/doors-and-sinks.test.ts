import { sinkKinds } from '../../src/audit/registry.ts'
import { doorKinds } from '../../src/listeners/registry.ts'
import { describeKinds } from './kinds.ts'

describeKinds('listeners', doorKinds, {
  forward: { listen: '127.0.0.1:0' },
  reverse: { listen: 'unix:crm.sock', connection: 'crm' },
  transparent: { listen: '127.0.0.1:15002', caller: 'app' },
})

describeKinds('audit', sinkKinds, {
  'json-lines': {},
  store: {},
  otlp: { endpoint: 'https://collector.example.com/v1/logs' },
})
