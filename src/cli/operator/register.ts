import { type Command, Option } from 'commander'
import { EXIT } from '../exit-codes.ts'
import { lazily } from '../lazily.ts'
import type { AuditOptions } from './audit.ts'

/** Adds the verbs that ask a running sidecar, at its operator's door. */
export function registerOperatorVerbs(program: Command): void {
  registerGrants(program)
  registerCallers(program.command('caller').description('callers that are added while running, and their keys'))
  registerConnections(
    program.command('connection').description('connections, the state of their credentials, their switch'),
  )
  registerLogins(program)
  registerSecrets(program.command('secret').description('long-lived secrets, sealed in the store'))
  registerAudit(program.command('audit').description('what has happened'))
  registerPolicy(program.command('policy').description('what has been asked, in the light of a policy'))
  operator(program.command('inventory'))
    .description('who holds which connection, when it was used last, unused grants, the age of each long-lived secret')
    .option('--since <time>', 'count uses from then on, as in 30d; 90 days without it')
    .action(lazily(async () => (await import('./inventory.ts')).inventory))
}

/** What every one of these verbs takes. */
function operator(command: Command): Command {
  return command
    .addOption(
      new Option('--config <file>', 'settings file of the sidecar, which names its operator’s door').env(
        'SALLYPORT_CONFIG',
      ),
    )
    .addOption(
      new Option('--admin <address>', 'the operator’s door: unix:PATH or http://127.0.0.1:PORT').env('SALLYPORT_ADMIN'),
    )
    .addOption(
      new Option('--token-file <file>', 'file of the operator’s token; not needed where the kernel says who asks').env(
        'SALLYPORT_ADMIN_TOKEN_FILE',
      ),
    )
    .option('--json', 'print JSON')
}

function registerGrants(program: Command): void {
  operator(program.command('grant'))
    .description('let a caller, or a group of them, use a connection, from the very next request on')
    .argument('<connection>')
    .requiredOption('--to <holder>', 'name of a caller, or group:NAME')
    .option('--methods <methods>', 'as in GET,HEAD; without it any', listOf)
    .option('--paths <paths>', 'as in "/v1/contacts/*,/v1/notes/**"; without it any', listOf)
    .option('--openapi <file>', 'an API description, read here; with --operations, instead of methods and paths')
    .option('--operations <ids>', 'as in listContacts,getContact: what is let through of it', listOf)
    .option('--until <time>', 'as in 30d, 12h or 2027-06-30T00:00:00Z')
    .action(lazily(async () => (await import('./grants.ts')).grant))
  operator(program.command('revoke'))
    .description('take it back: the very next request is refused, what is under way is cut')
    .argument('[connection]')
    .option('--from <holder>', 'name of a caller, or group:NAME')
    .option('--id <id>', 'that grant alone, as `grants` lists it; instead of a connection and --from')
    .action(lazily(async () => (await import('./grants.ts')).revoke))
  operator(program.command('grants'))
    .description('list grants, those of the settings file and those made while running')
    .option('--caller <name>')
    .option('--group <name>')
    .option('--connection <name>')
    .action(lazily(async () => (await import('./grants.ts')).grants))
}

function registerCallers(caller: Command): void {
  operator(caller.command('add'))
    .description('add a caller; prints its key, this once')
    .argument('<name>')
    .action(lazily(async () => (await import('./callers.ts')).addCaller))
  operator(caller.command('list'))
    .description('list callers')
    .action(lazily(async () => (await import('./callers.ts')).listCallers))
  operator(caller.command('remove'))
    .description('remove a caller, with its keys and grants')
    .argument('<name>')
    .action(lazily(async () => (await import('./callers.ts')).removeCaller))
  operator(caller.command('rotate-key'))
    .description('give a caller another key; prints it, this once')
    .argument('<name>')
    .option(
      '--overlap <duration>',
      'how long the key before it goes on being good, as in 1h; without it, it ends at once',
    )
    .action(lazily(async () => (await import('./callers.ts')).rotateKey))
}

function registerConnections(connection: Command): void {
  operator(connection.command('list'))
    .description('list connections')
    .action(lazily(async () => (await import('./connections.ts')).listConnections))
  operator(connection.command('show'))
    .description('one connection')
    .argument('<name>')
    .action(lazily(async () => (await import('./connections.ts')).showConnection))
  operator(connection.command('disable'))
    .description('switch a connection off for everybody, at once')
    .argument('<name>')
    .option('--reason <text>', 'why, for whoever finds it switched off')
    .action(lazily(async () => (await import('./connections.ts')).disableConnection))
  operator(connection.command('enable'))
    .description('switch it on again')
    .argument('<name>')
    .action(lazily(async () => (await import('./connections.ts')).enableConnection))
}

function registerLogins(program: Command): void {
  operator(program.command('login'))
    .description('let a connection act for a person: opens a browser, and waits for the consent')
    .argument('<connection>')
    .option('--caller <name>', 'for whom, where each caller has a login of its own')
    .option('--no-browser', 'print the address, and read the one that the browser ends at from standard input')
    .action(lazily(async () => (await import('./logins.ts')).login))
  operator(program.command('logout'))
    .description('forget that consent: the very next request is refused')
    .argument('<connection>')
    .option('--caller <name>', 'whose, where each caller has its own')
    .action(lazily(async () => (await import('./logins.ts')).logout))
}

function registerSecrets(secret: Command): void {
  operator(secret.command('set'))
    .description('seal a secret from standard input')
    .argument('<name>')
    .option('--offline', 'open the store of --config by itself, where no sidecar can start without this secret')
    .action(lazily(async () => (await import('./secrets.ts')).setSecret))
  operator(secret.command('rotate'))
    .description('seal its next version')
    .argument('<name>')
    .action(lazily(async () => (await import('./secrets.ts')).rotateSecret))
  operator(secret.command('remove'))
    .description('remove a secret that the settings of the sidecar do not name')
    .argument('<name>')
    .action(lazily(async () => (await import('./secrets.ts')).removeSecret))
  operator(secret.command('list'))
    .description('list secrets, without them')
    .action(lazily(async () => (await import('./secrets.ts')).listSecrets))
}

function registerAudit(audit: Command): void {
  period(filters(operator(audit.command('search'))))
    .description('records, newest first')
    .option('--id <uuid>', 'what an app was refused with: the "instance" of its problem')
    .option('--would-refuse <code>', 'what report mode let through; reads every record of that time, so use --since')
    .option(
      '--trace <id>',
      'asks of this trace, as W3C Trace Context names it; reads like --would-refuse, so use --since',
    )
    .option('--limit <count>', 'records at most; 1000 is the most', '100')
    .action(lazily(async () => (await import('./audit.ts')).search))
  filters(operator(audit.command('tail')))
    .description('records as they are written, as JSON lines')
    .action(lazily(async () => (await import('./audit.ts')).tail))
  period(filters(operator(audit.command('export'))))
    .description('records exactly as they were written, oldest first, as JSON lines')
    .action(lazily(async () => (await import('./audit.ts')).exportAudit))
  operator(audit.command('verify'))
    .description(`whether an audit is whole and unaltered; exit ${EXIT.refused} with the first thing that is wrong`)
    .argument(
      '[files...]',
      'of a json-lines sink, oldest first, or - for standard input; without any, what the running sidecar has in its store',
    )
    .option(
      '--public-key <file>',
      'PEM of a key whose checkpoints count, as often as there are keys; without it signatures prove nothing',
      collect,
    )
    .option('--partial', 'it is a part, as `audit export --since` gives it: lines may be missing, none may be altered')
    .option('--from-start', `exit ${EXIT.refused} where it begins later than with the first line ever written`)
    .action(lazily(async () => (await import('./verify.ts')).verify))
  operator(audit.command('blast-radius'))
    .description('every request that spent a credential, or any credential of a long-lived secret')
    .option('--fingerprint <fingerprint>', 'of the credential, as the audit names it')
    .option('--secret <name@version>', 'the long-lived secret behind it')
    .action(
      lazily(async () => {
        const { blastRadius } = await import('./audit.ts')
        return (options: AuditOptions) => blastRadius(options)
      }),
    )
}

function filters(command: Command): Command {
  return command
    .option('--caller <name>')
    .option('--connection <name>')
    .option('--host <host>')
    .option('--code <code>', 'of a problem, as in grant-missing')
    .option('--fingerprint <fingerprint>')
    .addOption(new Option('--kind <kind>', 'of record').choices(['ask', 'change', 'checkpoint', 'start']))
}

function period(command: Command): Command {
  return command
    .option('--since <time>', 'as in 7d or 2027-06-30T00:00:00Z')
    .option('--until <time>', 'the same; records before it')
}

function registerPolicy(policy: Command): void {
  operator(policy.command('replay'))
    .description(`decide anew what was asked, by other settings; exit ${EXIT.refused} when anything would change`)
    .requiredOption('--candidate <file>', 'settings file')
    .option('--since <time>', 'as in 7d or 2027-06-30T00:00:00Z', '7d')
    .action(lazily(async () => (await import('./policy.ts')).replay))
  operator(policy.command('suggest'))
    .description('print the allowlist and the rules that what was asked needs, and what of them is missing')
    .option('--since <time>', 'as in 7d or 2027-06-30T00:00:00Z', '7d')
    .option('--refused', 'what was refused lacked, or would have but for report mode; beside what is there')
    .option('--whole', 'the settings file of --config with it in place, as replay takes it')
    .action(lazily(async () => (await import('./policy.ts')).suggest))
}

function collect(one: string, before: readonly string[] = []): readonly string[] {
  return [...before, one]
}

function listOf(text: string): readonly string[] {
  return text
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '')
}
