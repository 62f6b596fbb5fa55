import { loadSync, type ServiceDefinition } from '@grpc/proto-loader'

const PROTO = new URL('.', import.meta.url).pathname
const OPTIONS = { includeDirs: [PROTO], longs: String, bytes: String, defaults: false }

const services = {
  resourceSpans: serviceIn('collector/trace/v1/trace_service', 'collector.trace.v1.TraceService'),
  resourceLogs: serviceIn('collector/logs/v1/logs_service', 'collector.logs.v1.LogsService'),
}

/** Of `opentelemetry/proto` at its version 1.9.0, as it is published. */
function serviceIn(file: string, name: string): ServiceDefinition {
  const loaded = loadSync(`opentelemetry/proto/${file}.proto`, OPTIONS)
  return loaded[`opentelemetry.proto.${name}`] as ServiceDefinition // the service of that file
}

/**
 * What is left of a request in the JSON of OTLP once it has been through the schema: a field that the schema does not have,
 * or has otherwise, is gone or another. In that JSON ids are hex, where protobuf's own has base64.
 */
export function throughProto(json: string): unknown {
  const request: unknown = JSON.parse(json)
  const [signal = ''] = Object.keys(request as object) // both have one member alone
  const call = services[signal as keyof typeof services]['Export']
  if (!call) throw new Error(`no service for ${signal}`)
  const bytes = call.requestSerialize(withIds(request, (hex) => Buffer.from(hex, 'hex').toString('base64')) as object)
  return withIds(call.requestDeserialize(bytes), (base64) => Buffer.from(base64, 'base64').toString('hex'))
}

const IDS = new Set(['traceId', 'spanId', 'parentSpanId'])

function withIds(value: unknown, change: (id: string) => string): unknown {
  if (Array.isArray(value)) return value.map((one) => withIds(one, change))
  if (typeof value !== 'object' || value === null) return value
  const rows = Object.entries(value).map(([key, one]) => [
    key,
    IDS.has(key) ? change(String(one)) : withIds(one, change),
  ])
  return Object.fromEntries(rows)
}
