import { type Command, InvalidArgumentError, Option } from 'commander'
import type { Place } from '../egress/egress.ts'
import type { Label } from '../egress/pods.ts'
import type { PodOptions } from './export.ts'
import { lazily } from './lazily.ts'

/** Adds `sallyport export` to the command line. */
export function registerExport(program: Command, configOption: () => Option): void {
  const parent = program
    .command('export')
    .description(
      'print the network policy that equals the allowlist: what has to be let out, each line with its reason',
    )
  const form = (name: string, description: string) =>
    common(parent.command(name).description(description).addOption(configOption().makeOptionMandatory()))
  pods(form('networkpolicy', NETWORKPOLICY)).action(policies('networkpolicy'))
  pods(form('cilium', CILIUM)).action(policies('cilium'))
  form('nftables', NFTABLES)
    .option('--sallyport-user <user>', 'number or name of the user that Sallyport runs as', user, '65532')
    .option(
      '--app-user <user>',
      'number or name of a user to hold back, or a range of numbers such as 1000-1999; more than once for several; without it everybody else',
      eachUser,
      [],
    )
    .option(
      '--redirect-to <port>',
      'send TCP to ports 80 and 443 to this port of this machine; without it to the transparent door of the settings, if there is one',
      port,
    )
    .action(lazily(async () => (await import('./export.ts')).exportNftables))
}

function policies(form: 'networkpolicy' | 'cilium') {
  return lazily(async () => {
    const { exportPolicies } = await import('./export.ts')
    return (options: PodOptions) => exportPolicies(form, options)
  })
}

const NETWORKPOLICY =
  'for Kubernetes (networking.k8s.io/v1). It knows addresses and no names: a port that is needed is open to every public address, and to what the settings pin (dns.hosts) or allow (allowPrivate). With --shape gateway apps reach Sallyport and DNS alone; with --shape sidecar nothing can force the app through the sidecar: they share an address'
const CILIUM =
  'for Kubernetes with Cilium (cilium.io/v2), by name. "*.NAME" of the allowlist becomes "**.NAME": the same from Cilium 1.19 on, one label alone before that'
const NFTABLES =
  'for the network namespace of a host or a pod: apps reach this machine alone, and are redirected to a transparent door if there is one; Sallyport, by its user, reaches the ports it needs. Load it with nft -f'

function common(command: Command): Command {
  return command
    .option('--also <host:port>', 'a server that the settings do not name; more than once for several', eachPlace, [])
    .option('--store <host:port>', 'the server of the store; without it, read from the secret that has its URL', place)
    .option(
      '--dns <address>',
      'a name server, as ADDRESS or ADDRESS:PORT; more than once for several; without it those of the settings, or of the cluster',
      eachAddress,
    )
    .option('--resolve', 'pin the addresses that names have just now; they may be others tomorrow')
}

function pods(command: Command): Command {
  return command
    .addOption(
      new Option('--shape <shape>', 'how Sallyport is installed').choices(['gateway', 'sidecar']).default('gateway'),
    )
    .option(
      '--apps <key=value>',
      'label of the pods of the apps; without it all pods of their namespace but those of the gateway',
      label,
    )
    .option('--sallyport <key=value>', 'label of the pods of the gateway', label, {
      key: 'app.kubernetes.io/name',
      value: 'sallyport',
    })
    .option('--namespace <name>', 'namespace of the policies; without it wherever they are applied', namespace)
    .option('--apps-namespace <name>', 'namespace of the apps, where it is another one', namespace)
    .option('--cluster-domain <name>', 'what names of services end with', 'cluster.local')
}

function place(text: string): Place {
  const [, bracketed, plain, digits] =
    /^(?:\[([0-9a-fA-F:.]+)\]|([a-z0-9._-]+|\*\.[a-z0-9._-]+)):([0-9]{1,5})$/.exec(text) ?? []
  const host = bracketed ?? plain
  if (host === undefined) throw new InvalidArgumentError('use HOST:PORT, as in db.example.com:5432')
  return { host, port: port(digits ?? '') }
}

function eachPlace(text: string, before: readonly Place[]): readonly Place[] {
  return [...before, place(text)]
}

function port(text: string): number {
  const number = Number(text)
  if (!/^[0-9]{1,5}$/.test(text) || number < 1 || number > 65535)
    throw new InvalidArgumentError('use a port from 1 to 65535')
  return number
}

/** A name is looked up when the rules are loaded. */
function user(text: string): string {
  if (/^(?:[0-9]{1,10}|[a-z_][a-z0-9_-]{0,31})$/.test(text)) return text
  throw new InvalidArgumentError('use the number or the name of a user')
}

function eachUser(text: string, before: readonly string[]): readonly string[] {
  const [, first, last] = /^([0-9]{1,10})-([0-9]{1,10})$/.exec(text) ?? []
  if (first === undefined) return [...before, user(text)]
  if (Number(first) < Number(last) && Number(last) < NO_USER) return [...before, text]
  throw new InvalidArgumentError('use a range of users, the lower number first, as in 1000-1999')
}

/** (uid_t)-1 */
const NO_USER = 0xff_ff_ff_ff

function eachAddress(text: string, before: readonly string[] = []): readonly string[] {
  if (/^(?:[0-9.]+(?::[0-9]{1,5})?|\[[0-9a-fA-F:.]+\](?::[0-9]{1,5})?|[0-9a-fA-F:.]+)$/.test(text))
    return [...before, text]
  throw new InvalidArgumentError('use the address of a name server, as in 10.0.0.2 or 10.0.0.2:5353')
}

/** @see https://kubernetes.io/docs/concepts/overview/working-with-objects/labels */
function label(text: string): Label {
  const [, key, value] =
    /^((?:[a-z0-9.-]+\/)?[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)=([A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)$/.exec(
      text,
    ) ?? []
  if (key === undefined || value === undefined) throw new InvalidArgumentError('use KEY=VALUE, as in app=checkout')
  return { key, value }
}

function namespace(text: string): string {
  if (/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(text)) return text
  throw new InvalidArgumentError('use the name of a namespace, as in shop')
}
