/** Hand-written Markdown about traces, as in prose.ts. */
export const tracesText = `Off unless the settings have \`traces\`, and then they cost a request nothing. With it, each ask is a span of kind \`SERVER\`,
each try upstream one of kind \`CLIENT\` below it (a replay after a 401 has \`http.request.resend_count\`), a WebSocket both, a
CONNECT a \`SERVER\` span alone, and each mint a trace of its own, to which the asks that waited for it have a link. Names and
attributes are those of the [semantic conventions for HTTP](https://opentelemetry.io/docs/specs/semconv/http/http-spans/), and
\`sallyport.id\`, \`.door\`, \`.caller\`, \`.connection\`, \`.grant\`, \`.decision\`, \`.problem\`, \`.credential\` (the fingerprint that
the audit has), \`.tunnel\`, \`.bytes_in\`, \`.bytes_out\`. The audit entry has \`traceId\` and \`spanId\` of the \`SERVER\` span,
recorded or not: \`sallyport audit search --trace TRACE_ID\` finds it, and OTLP log records carry both.

No secret is in a span, and no query: where there was one, \`url.full\` ends with \`?REDACTED\`. A path is, unless \`paths: omit\`.
A method that is none of HTTP's is \`_OTHER\`.

A \`traceparent\` of the caller's that is valid is continued, else a new trace begins; \`tracestate\` goes on, 512 characters at
most. What goes upstream depends on the connection:

| on the connection | with \`traces\` | without |
| --- | --- | --- |
| no word | our span in place of the caller's, where it sent a \`traceparent\`; else nothing | what the caller sent, untouched |
| \`propagateTrace: true\` | our span, always | what the caller sent, untouched |
| \`propagateTrace: false\` | nothing, and no \`baggage\` | nothing, and no \`baggage\` |

A caller's flag makes us record its asks, as long as \`sampler.callers\` is \`follow\`; \`sampler.maxPerSecond\` bounds that for each
caller, and what is above it goes on as not recorded. Spans wait in memory, \`maxQueue\` at most, and are sent again after 429, 502,
503 and 504 and where nobody answers; the oldest make room for the newest, and at the end what is left has \`drainTimeoutMs\`, less
what the doors took of it. What nobody gets is counted: \`sallyport_spans_dropped_total\`, by \`reason\` (\`queue\`, \`rejected\`,
\`shutdown\`, \`rate\`).`
