import { texts } from './prose.ts'
import { faceText } from './prose-face.ts'
import { healthText } from './prose-health.ts'
import { presetsText } from './prose-presets.ts'
import { reloadText } from './prose-reload.ts'
import { subjectsText } from './prose-subjects.ts'
import { tracesText } from './prose-traces.ts'
import { transparentText } from './prose-transparent.ts'

/** A part of the reference: what it is about, in words, and which parts of the schema it lists. */
export interface Section {
  readonly title: string
  readonly text: string
  /** Ids of definitions, or keys of the top level. */
  readonly parts: readonly string[]
}

/** The reference, in reading order. Every definition and every mapping of the top level has its place here. */
export const sections: readonly Section[] = [
  { title: 'Allowlist', text: texts.allowlist, parts: [] },
  { title: 'Listeners', text: texts.listeners, parts: ['Listener'] },
  { title: 'The face of Unity Catalog', text: faceText, parts: [] },
  { title: 'Transparent doors', text: transparentText, parts: [] },
  { title: 'Callers', text: texts.callers, parts: ['Caller'] },
  { title: 'Connections', text: texts.connections, parts: ['Connection'] },
  { title: 'Presets', text: presetsText(), parts: [] },
  { title: 'Credentials', text: texts.credentials, parts: ['Credential'] },
  { title: 'Client authentication', text: texts.clientAuth, parts: ['ClientAuth'] },
  { title: 'Exchanged tokens', text: subjectsText, parts: ['Subject'] },
  { title: 'Injections', text: texts.injections, parts: ['Injection'] },
  { title: 'Headers', text: texts.headers, parts: [] },
  { title: 'Grants and rules', text: texts.grants, parts: ['Grant', 'Rule'] },
  { title: 'Secret references', text: texts.secrets, parts: ['SecretReference'] },
  { title: 'Reload', text: reloadText, parts: [] },
  { title: 'ca', text: texts.ca, parts: [] },
  { title: 'Store', text: texts.store, parts: ['Store'] },
  { title: 'dns', text: texts.dns, parts: ['dns'] },
  { title: 'audit', text: texts.audit, parts: ['audit', 'Sink'] },
  { title: 'traces', text: tracesText, parts: ['traces'] },
  { title: 'log', text: texts.log, parts: ['log'] },
  { title: 'admin', text: texts.admin, parts: ['admin', 'Operator'] },
  { title: 'health', text: healthText, parts: ['health'] },
]
