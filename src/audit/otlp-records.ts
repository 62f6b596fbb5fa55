import type { AuditKind, AuditLine } from '../core/audit-line.ts'
import { type Attributes, attributesOf, nanoseconds, type Resource, type Value } from '../otlp/attributes.ts'

/**
 * Lines as one request of OTLP for logs. The body of each record is the line itself, to the byte, so that the chain can be
 * verified from what a collector keeps; the attributes are what one searches by, in the words of the semantic conventions
 * where these have any.
 * @see https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
 * @see https://opentelemetry.io/docs/specs/semconv/registry/attributes/
 */
export function exportRequest(lines: readonly AuditLine[], resource: Resource, now: number): string {
  const logRecords = lines.map((line) => logRecord(line, now))
  return JSON.stringify({
    resourceLogs: [
      {
        resource: { attributes: attributesOf(resource) },
        scopeLogs: [{ scope: { name: 'sallyport.audit' }, logRecords }],
      },
    ],
  })
}

const INFO = 9
const WARN = 13

function logRecord(line: AuditLine, now: number): object {
  const body = JSON.parse(line.line)
  const isBad = line.keys.code !== undefined || line.keys.kind === 'gap'
  return {
    timeUnixNano: nanoseconds(line.keys.time),
    observedTimeUnixNano: nanoseconds(now),
    severityNumber: isBad ? WARN : INFO,
    severityText: isBad ? 'WARN' : 'INFO',
    eventName: `sallyport.${line.keys.kind}`,
    body: { stringValue: line.line },
    attributes: attributesOf({ ...chainOf(line), ...DETAILS[line.keys.kind](body, line) }),
    ...(body.traceId && { traceId: body.traceId }),
    ...(body.spanId && { spanId: body.spanId }),
  }
}

function chainOf({ instance, run, seq, hash }: AuditLine): Attributes {
  return { 'sallyport.instance': instance, 'sallyport.run': run, 'sallyport.seq': seq, 'sallyport.hash': hash }
}

const DETAILS: Readonly<Record<AuditKind, (body: Readonly<Record<string, Value>>, line: AuditLine) => Attributes>> = {
  ask: (body, { keys }) => ({
    'http.request.method': body['method'],
    'server.address': keys.host,
    'url.path': body['path'],
    'http.response.status_code': body['status'],
    'error.type': keys.code,
    'network.peer.address': body['upstreamAddress'],
    'sallyport.id': body['id'],
    'sallyport.door': body['door'],
    'sallyport.caller': keys.caller,
    'sallyport.connection': keys.connection,
    'sallyport.grant': keys.grant,
    'sallyport.decision': body['decision'],
    'sallyport.fingerprint': keys.fingerprint,
    'sallyport.secret': keys.secret,
  }),
  change: (body, { keys }) => ({
    'sallyport.id': body['id'],
    'sallyport.operator': body['operator'],
    'sallyport.action': body['action'],
    'sallyport.subject': body['subject'],
    'error.type': keys.code,
  }),
  start: () => ({}),
  checkpoint: () => ({}),
  gap: (body) => ({ 'sallyport.sink': body['sink'] }),
}
