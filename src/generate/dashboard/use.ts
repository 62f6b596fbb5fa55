import { C, type Row, rate, U } from './panel.ts'

/** Egress by caller and connection. */
export const use: Row = {
  title: 'Who uses what',
  height: 8,
  panels: [
    {
      title: 'Asks by connection',
      description: 'Whatever came of them. Without a name: refused before it was known which connection was meant.',
      kind: 'timeseries',
      unit: 'reqps',
      width: 8,
      queries: [[rate('sallyport_caller_requests_total', U, 'connection'), '{{connection}}']],
    },
    {
      title: 'Asks by caller',
      description:
        'A caller that a template names goes by its entry in the settings; (unknown) has proved nothing; (others) is all beyond 1000 pairs of caller and connection.',
      kind: 'timeseries',
      unit: 'reqps',
      width: 8,
      queries: [[rate('sallyport_caller_requests_total', U, 'caller'), '{{caller}}']],
    },
    {
      title: 'Sent by caller',
      description: 'Bytes of request bodies that left: what is where it should not be shows here.',
      kind: 'timeseries',
      unit: 'Bps',
      width: 8,
      queries: [
        [
          rate('sallyport_caller_bytes_total', `${U},direction="sent"`, 'caller, connection'),
          '{{caller}} to {{connection}}',
        ],
      ],
    },
    {
      title: 'Callers and connections',
      description:
        'In the time that is shown. Who used which credential, ask by ask, is in the audit: sallyport audit search.',
      kind: 'table',
      unit: 'short',
      width: 16,
      queries: [
        [`sum by (caller, connection, outcome) (increase(sallyport_caller_requests_total{${U}}[$__range])) > 0`, ''],
      ],
    },
    {
      title: 'Switched off',
      description: 'Connections that the settings, or an operator, have disabled. Empty is the usual thing.',
      kind: 'table',
      unit: 'none',
      width: 8,
      queries: [[`sallyport_connection_disabled{${C}} == 1`, '']],
    },
  ],
}

/** What is answered no. */
export const refusals: Row = {
  title: 'Refusals',
  height: 8,
  panels: [
    {
      title: 'Refusals by code',
      description: 'Answers that were ours. Each code is in config/problems.md, with who has to act.',
      kind: 'timeseries',
      unit: 'reqps',
      width: 8,
      queries: [[rate('sallyport_refusals_total', C, 'code'), '{{code}}']],
      runbook: 'SallyportRefusalSurge',
    },
    {
      title: 'Refused callers',
      description: 'Who is told no. (unknown): nobody, as far as its proof goes.',
      kind: 'timeseries',
      unit: 'reqps',
      width: 8,
      queries: [
        [
          rate('sallyport_caller_requests_total', `${U},outcome="refused"`, 'caller, connection'),
          '{{caller}} {{connection}}',
        ],
      ],
      runbook: 'SallyportWrongProofs',
    },
    {
      title: 'Would be refused',
      description: 'What report mode lets through. Empty where nothing is in report mode, or nothing would be refused.',
      kind: 'timeseries',
      unit: 'reqps',
      width: 8,
      queries: [[rate('sallyport_would_refuse_total', C, 'code, connection'), '{{code}} {{connection}}']],
    },
  ],
}
