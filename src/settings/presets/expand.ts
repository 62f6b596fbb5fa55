import { parseName } from '../../core/host.ts'
import type { SettingsFault } from '../fault.ts'
import { entries, field, list } from '../untyped.ts'
import type { Parameter, Preset } from './preset.ts'
import { presets } from './registry.ts'

/** Settings as they were written, with what presets fill in, or what is wrong with what they say of presets. */
export interface Expanded {
  readonly value: unknown
  readonly faults: readonly SettingsFault[]
  /** What a connection that could not be filled in lacks is no fault of its own; others are told which preset had a part. */
  explain(faults: readonly SettingsFault[]): SettingsFault[]
}

type Mapping = Readonly<Record<string, unknown>>

/** Fills in what the presets of connections know, before anything is judged: so each fault has its place in the file. */
export function expandPresets(value: unknown): Expanded {
  const written = field(value, 'connections')
  const connections = isMapping(written) ? Object.entries(written) : []
  const preset = connections.filter(([, one]) => field(one, 'preset') !== undefined)
  if (preset.length === 0) return { value, faults: [], explain: (faults) => [...faults] }
  const made = new Map(preset.map(([name, one]) => [name, expandOne(name, one)]))
  const filled = connections.map(([name, one]) => [name, made.get(name)?.made ?? one] as const)
  return {
    value: { ...mapping(value), connections: Object.fromEntries(filled) },
    faults: [...made.values()].flatMap(({ faults }) => faults),
    explain: (faults) => faults.flatMap((fault) => explained(fault, made)),
  }
}

/** Names the preset where it may have said what is wrong. */
function explained(fault: SettingsFault, all: ReadonlyMap<string, Made>): SettingsFault[] {
  const [first, connection, part] = fault.path
  const made = first === 'connections' ? all.get(String(connection)) : undefined
  if (!made) return [fault]
  if (made.faults.length > 0) return []
  const isFilled = part === 'credential' || part === 'inject'
  return [isFilled ? { ...fault, message: `${fault.message} [preset ${nameIn(made.made)}]` } : fault]
}

interface Made {
  readonly made: unknown
  readonly faults: readonly SettingsFault[]
}

function expandOne(connection: string, settings: unknown): Made {
  if (field(settings, 'preset') === undefined) return { made: settings, faults: [] }
  const at = (...path: readonly PropertyKey[]) => ['connections', connection, ...path]
  const unfit = (message: string, ...path: readonly PropertyKey[]): Made => ({
    made: settings,
    faults: [{ path: at(...path), message }],
  })
  const name = nameIn(settings)
  const preset = name === undefined ? undefined : presets.get(name)
  if (!preset) return unfit(`use one of ${[...presets.keys()].join(', ')}`, 'preset')
  const kind = field(field(settings, 'credential'), 'kind')
  // What is missing is for the schema to say.
  if (typeof kind !== 'string') return { made: settings, faults: [] }
  const filling = Object.hasOwn(preset.kinds, kind) ? preset.kinds[kind] : undefined
  if (!filling)
    return unfit(`preset ${name} has ${Object.keys(preset.kinds).join(', ')}: use one of them`, 'credential', 'kind')
  const values = parametersOf(settings, preset)
  if (!(values instanceof Map))
    return { made: settings, faults: values.map((fault) => ({ ...fault, path: at(...fault.path) })) }
  const made = merge(mapping(settings), fill(filling, values) as typeof filling /* texts alone are changed */)
  const faults = faultsOf(made.credential, preset, kind).map(({ setting, message }) => ({
    path: at('credential', ...setting.split('.')),
    message: `${message} [preset ${name}]`,
  }))
  return { made, faults }
}

function nameIn(connection: unknown): string | undefined {
  const preset = field(connection, 'preset')
  const name = typeof preset === 'string' ? preset : field(preset, 'name')
  return typeof name === 'string' ? name : undefined
}

/** The values of all parameters, or what is wrong with those that are given. */
function parametersOf(settings: unknown, { parameters }: Preset): Map<string, string> | SettingsFault[] {
  const given = field(settings, 'preset')
  const names = Object.keys(parameters)
  const known = names.length === 0 ? 'it has no parameters' : `its parameters are ${names.join(', ')}`
  const unknown = entries(typeof given === 'string' ? {} : given).filter(
    ([key]) => key !== 'name' && !names.includes(key),
  )
  const faults: SettingsFault[] = unknown.map(([key]) => ({
    path: ['preset'],
    key,
    message: `unknown parameter: ${known}`,
  }))
  const values = new Map<string, string>()
  for (const [name, parameter] of Object.entries(parameters)) {
    const value = field(given, name) ?? (parameter.isFirstHost ? firstHost(settings) : parameter.default)
    if (fits(value, parameter)) values.set(name, value)
    else {
      const key = field(given, name) === undefined ? {} : { key: name }
      faults.push({ path: ['preset'], ...key, message: `${name}: use ${FORMS[parameter.form]} (${parameter.about})` })
    }
  }
  return faults.length > 0 ? faults : values
}

const FORMS: Readonly<Record<Parameter['form'], string>> = {
  host: 'a host name, without scheme or path',
  word: 'letters, digits, ".", "_" and "-"',
  text: 'a text of visible ASCII without blanks, quotes or braces',
}

/** Nothing that could end the part of a URL that it stands in. */
function fits(value: unknown, { form }: Parameter): value is string {
  if (typeof value !== 'string') return false
  if (form === 'host') return parseName(value) === value
  return form === 'word' ? /^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(value) : /^[!#-&(-z|~]+$/.test(value)
}

function firstHost(settings: unknown): unknown {
  return list(field(settings, 'hosts')).find((host) => typeof host === 'string' && !host.startsWith('*.'))
}

/** Its data with the values in their places. */
function fill(template: unknown, values: ReadonlyMap<string, string>): unknown {
  if (typeof template === 'string') return template.replace(/\{(\w+)\}/g, (_, name: string) => values.get(name) ?? '')
  if (Array.isArray(template)) return template.map((one) => fill(one, values))
  if (typeof template !== 'object' || template === null) return template
  return Object.fromEntries(Object.entries(template).map(([key, one]) => [key, fill(one, values)]))
}

/** Each says where tokens come from: whoever names one has chosen, and a code of one server is nothing to another. */
const CHOICE = ['tokenEndpoint', 'issuer', 'authorizationEndpoint', 'revocationEndpoint']

/** What the settings say goes before what the preset says; mappings, as of parameters, are put together. */
function merge(settings: Mapping, { credential: filled, inject }: Preset['kinds'][string]): Mapping {
  const own = mapping(settings['credential'])
  const isChosen = own['tokenEndpoint'] !== undefined || own['issuer'] !== undefined
  const kept = Object.entries(filled).filter(([key]) => !(isChosen && CHOICE.includes(key)))
  const together = kept.map(([key, before]) => {
    const after = own[key]
    if (after === undefined) return [key, before] as const
    return [key, isMapping(before) && isMapping(after) ? { ...before, ...after } : after] as const
  })
  return { inject, ...settings, credential: { ...own, ...Object.fromEntries(together) } }
}

interface SettingFault {
  readonly setting: string
  readonly message: string
}

function faultsOf(credential: unknown, { needs, forbids }: Preset, kind: string): SettingFault[] {
  const says = (setting: string) =>
    setting.split('.').reduce((value: unknown, key) => field(value, key), credential) !== undefined
  const missing = needs
    .filter(({ setting, of }) => of.includes(kind) && !says(setting))
    .map(({ setting, why }) => ({ setting, message: `add it: ${why}` }))
  const refused = forbids
    .filter(({ together, of }) => of.includes(kind) && together.every(says))
    .map(({ together, why }) => {
      const setting = together.at(-1) ?? ''
      const beside = together.length > 1 ? ` beside ${together.slice(0, -1).join(', ')}` : ''
      return { setting, message: `leave it out${beside}: ${why}` }
    })
  return [...missing, ...refused]
}

function isMapping(value: unknown): value is Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function mapping(value: unknown): Mapping {
  return isMapping(value) ? value : {}
}
