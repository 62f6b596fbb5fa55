import { C, I, mean, quantile, type Row } from './panel.ts'

/** Whose time it takes. */
export const latency: Row = {
  title: 'Latency',
  height: 8,
  panels: [
    {
      title: 'Whose time',
      description:
        'The mean of each part: ours before it is sent, without waiting for a credential; the upstream’s until the head of its answer.',
      kind: 'timeseries',
      unit: 's',
      width: 8,
      queries: [
        [mean('sallyport_overhead_seconds', I), 'Sallyport'],
        [mean('sallyport_upstream_response_seconds', C), 'upstream'],
      ],
    },
    {
      title: 'Our own part',
      description: 'From the head of an ask until it goes upstream. Above some milliseconds look at saturation.',
      kind: 'timeseries',
      unit: 's',
      width: 8,
      queries: [
        [quantile(0.5, 'sallyport_overhead_seconds', { selection: I, by: 'le' }), 'p50'],
        [quantile(0.99, 'sallyport_overhead_seconds', { selection: I, by: 'le' }), 'p99'],
      ],
      warn: 0.01,
      bad: 0.05,
      runbook: 'SallyportOverheadHigh',
    },
    {
      title: 'Upstreams, p95',
      description: 'From sending, a dial included, to the head of the answer.',
      kind: 'timeseries',
      unit: 's',
      width: 8,
      queries: [
        [
          quantile(0.95, 'sallyport_upstream_response_seconds', { selection: C, by: 'connection, le' }),
          '{{connection}}',
        ],
      ],
    },
    {
      title: 'Whole asks, p95',
      description: 'To the last byte: a long download, or a stream, is long.',
      kind: 'timeseries',
      unit: 's',
      width: 12,
      queries: [
        [
          quantile(0.95, 'sallyport_request_duration_seconds', { selection: C, by: 'connection, le' }),
          '{{connection}}',
        ],
      ],
    },
    {
      title: 'Errors by connection',
      description: 'Share of 5xx, whoever said it, of what was not 4xx.',
      kind: 'timeseries',
      unit: 'percentunit',
      width: 12,
      queries: [
        [
          `sum by (connection) (rate(sallyport_requests_total{${C},connection!="",status=~"5xx|none"}[$__rate_interval])) / sum by (connection) (rate(sallyport_requests_total{${C},connection!="",status!="4xx"}[$__rate_interval]))`,
          '{{connection}}',
        ],
      ],
      min: 0,
      max: 1,
      warn: 0.06,
      bad: 0.144,
      runbook: 'SallyportUpstreamErrors',
    },
  ],
}
