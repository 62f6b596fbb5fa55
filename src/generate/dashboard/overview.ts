import { asks, C, I, type Row } from './panel.ts'

/** How it is, at a glance. */
export const overview: Row = {
  title: 'Overview',
  height: 4,
  panels: [
    {
      title: 'Ready',
      description: 'Sidecars whose doors are open.',
      kind: 'stat',
      unit: 'none',
      width: 3,
      queries: [[`sum(sallyport_ready{${I}})`, '']],
      runbook: 'SallyportDown',
    },
    {
      title: 'Asks',
      description: 'By the selected callers, all outcomes.',
      kind: 'stat',
      unit: 'reqps',
      width: 3,
      queries: [[asks(), '']],
    },
    {
      title: 'Refused',
      description:
        'Share of asks that were answered no: by a gate, for want of a proof, or because somebody has to log in.',
      kind: 'stat',
      unit: 'percentunit',
      width: 3,
      queries: [[`(${asks(',outcome="refused"')} or vector(0)) / ${asks()}`, '']],
      warn: 0.05,
      bad: 0.25,
      runbook: 'SallyportRefusalSurge',
    },
    {
      title: 'Failed',
      description: 'Share of asks that should have come through and did not: no credential, no upstream, a full audit.',
      kind: 'stat',
      unit: 'percentunit',
      width: 3,
      queries: [[`(${asks(',outcome="failed"')} or vector(0)) / ${asks()}`, '']],
      warn: 0.01,
      bad: 0.05,
      runbook: 'SallyportUpstreamErrors',
    },
    {
      title: 'Credentials in trouble',
      description: 'No token, or one whose refresh fails.',
      kind: 'stat',
      unit: 'none',
      width: 3,
      queries: [[`sum(sallyport_credentials{${C},phase=~"failed|stale"}) or vector(0)`, '']],
      warn: 1,
      runbook: 'SallyportMintFailing',
    },
    {
      title: 'Alerts',
      description: 'Alerts of deploy/observability/prometheus that fire.',
      kind: 'stat',
      unit: 'none',
      width: 3,
      queries: [['count(ALERTS{alertname=~"Sallyport.+",alertstate="firing"}) or vector(0)', '']],
      warn: 1,
    },
    {
      title: 'What runs',
      description: 'More than one version, or digest of the settings, is a rollout that has not ended.',
      kind: 'table',
      unit: 'none',
      width: 6,
      queries: [
        [
          `count by (version, node, digest) (sallyport_build_info{${I}} * on (job, instance) group_left (digest) sallyport_settings_info{${I}})`,
          '',
        ],
      ],
    },
  ],
}
