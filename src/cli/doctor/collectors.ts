import type { OtlpSettings } from '../../audit/otlp-settings.ts'
import { Problem } from '../../core/problem.ts'
import { type Collector, SendError } from '../../otlp/collector.ts'
import { openCollector } from '../../otlp/open.ts'
import { type OpenReferences, openVisible } from '../../settings/open.ts'
import { openTraceCollector } from '../../tracing/open.ts'
import type { TracesSettings } from '../../tracing/settings.ts'
import { dialFault } from './dial-fault.ts'
import { examine, examineAll, type Told } from './finding.ts'
import { type Site, withNothing } from './site.ts'

/** A collector of the settings, and what to send it that says nothing. */
interface Asked {
  readonly place: string
  readonly settings: TracesSettings | OtlpSettings
  readonly empty: string
  open(tools: { readonly references: OpenReferences; readonly dialer: Site['dialer'] }): Collector
}

/** Whether every collector takes what it is sent, asked just as the sidecar would ask. */
export function examineCollectors(site: Site): Promise<readonly Told[]> {
  return examineAll(collectorsOf(site), (asked) => {
    const subject = `${asked.place} ${new URL(asked.settings.endpoint).host}`
    // The exchange has a limit of its own, which says more.
    return examine(subject, () => send(subject, asked, site), asked.settings.timeoutMs + 1_000)
  })
}

function collectorsOf({ loaded }: Site): readonly Asked[] {
  const { traces, audit } = loaded.settings
  const sinks = audit.sinks.flatMap((sink, at): Asked[] => {
    if (sink.kind !== 'otlp') return []
    const open: Asked['open'] = (tools) => openCollector(sink, 'logs', tools)
    return [{ place: `audit.sinks[${at}]`, settings: sink, empty: '{"resourceLogs":[]}', open }]
  })
  if (!traces) return sinks
  const open: Asked['open'] = (tools) => openTraceCollector(traces, tools)
  return [{ place: 'traces', settings: traces, empty: '{"resourceSpans":[]}', open }, ...sinks]
}

async function send(subject: string, { place, settings, empty, open }: Asked, site: Site): Promise<Told> {
  const references = await openVisible(withNothing(site.loaded, settings), site.env).catch(() => undefined)
  if (!references) return { subject, state: 'skipped', says: 'a secret or a file of it cannot be opened' }
  if (references.left.length > 0) {
    references.close()
    return { subject, state: 'skipped', says: 'a header of it is in the store or with systemd, for the sidecar alone' }
  }
  const collector = open({ references, dialer: site.dialer })
  try {
    const { rejected, reason } = await collector.send(empty, 1)
    if (rejected === 0) return { subject, state: 'ok', says: 'answers, and takes what it is sent' }
    return { subject, state: 'failed', says: `${reason}`, remedy: `correct endpoint or headers at ${place}` }
  } catch (error) {
    if (!(error instanceof SendError)) throw error
    return { subject, state: 'failed', ...faultOf(error, { place, settings }) }
  } finally {
    await collector.close()
    references.close()
  }
}

/** What failed is the way there, which has a remedy of its own, or what was said on it. */
function faultOf(
  error: SendError,
  { place, settings }: Pick<Asked, 'place' | 'settings'>,
): Pick<Told, 'says' | 'remedy'> {
  const { hostname: host } = new URL(settings.endpoint)
  const at = { host, place, authorities: settings.tls.ca?.file }
  if (error.cause instanceof Problem) return dialFault(error.cause, at)
  return { says: error.message, remedy: `try again: ${host} does not answer as it should just now` }
}
