import { Command, Option } from 'commander'
import about from '../../package.json' with { type: 'json' }
import { type Format, formats } from './env-formats.ts'
import { EXIT } from './exit-codes.ts'
import { registerExport } from './export-options.ts'
import { lazily } from './lazily.ts'
import { addCompletion } from './operator/complete.ts'
import { registerOperatorVerbs } from './operator/register.ts'
import type { LiveWhyOptions } from './operator/why.ts'
import type { why } from './why.ts'

function configOption(): Option {
  return new Option('--config <file>', 'settings file').env('SALLYPORT_CONFIG')
}

/** The command line. */
export const program = new Command('sallyport')
  .description('Mints short-lived credentials and injects them into outbound requests, so that apps never hold one.')
  .version(about.version)
  .showHelpAfterError()
  // So that `run` can leave the options behind its command to the command.
  .enablePositionalOptions()
  // Wrong words are as wrong as wrong settings; 1 is a refusal.
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : EXIT.settings))

program
  .command('serve')
  .description('open the doors and serve until SIGTERM; on SIGHUP, read the settings again')
  .addOption(configOption().makeOptionMandatory())
  .option('--watch', 'read the settings again whenever their file is another')
  .action(async ({ config, ...options }: { config: string; watch?: true }) =>
    (await import('./serve.ts')).serve(config, options),
  )

program
  .command('check')
  .description('read the settings and everything they refer to; exit 0 when all is right, 2 with the faults otherwise')
  .addOption(configOption().makeOptionMandatory())
  .action(async ({ config }: { config: string }) => (await import('./check.ts')).check(config))

program
  .command('why')
  .description('print what would be decided, and why; exit 0 for a permit, 1 for a refusal')
  .argument('<url>', 'where to, as in http://api.crm.example.com/v1/contacts')
  .addOption(configOption())
  .option('--live', 'ask the running sidecar, which knows what operators have granted while it runs')
  .addOption(new Option('--admin <address>', 'with --live: its admin door').env('SALLYPORT_ADMIN'))
  .addOption(
    new Option('--token-file <file>', 'with --live: file of the operator’s token').env('SALLYPORT_ADMIN_TOKEN_FILE'),
  )
  .requiredOption('--caller <name>', 'who asks')
  .option('--group <name>', 'a group that the proof of the caller names; more than once for several', collect)
  .option('--scope <scope>', 'a scope that the proof of the caller is limited to; as for --group', collect)
  .option('--method <method>', 'HTTP method, or CONNECT', 'GET')
  .option('--json', 'print JSON')
  .action(async (url: string, options: Parameters<typeof why>[1] & LiveWhyOptions & { readonly live?: true }) =>
    options.live
      ? (await import('./operator/why.ts')).whyLive(url, options)
      : (await import('./why.ts')).why(url, options),
  )

program
  .command('run')
  .description('run a command that asks through a sidecar of its own; its exit code, or 2 when it was not started')
  .usage('[options] -- <command> [args...]')
  .argument('<command...>', 'what to run')
  .option('--config <file>', 'settings file (env: SALLYPORT_CONFIG, unless there is a --proxy)')
  .option('--caller <name>', 'as whom it asks; may be left out where the settings name one caller')
  .option(
    '--audit <file>',
    'where to record what it does; without it the files of the settings, or else ~/.local/state/sallyport/audit.jsonl',
  )
  .option('--proxy <url>', 'instead of --config: a sidecar that runs already, as http://NAME@127.0.0.1:15001')
  .option('--key-file <file>', 'with --proxy: the file of the key of NAME')
  .option('--ca <file>', 'with --proxy: PEM file of its authority, or its bundle')
  .option('--quiet', 'say nothing of what was refused to the command, or goes past the sidecar')
  .passThroughOptions()
  .action(lazily(async () => (await import('./run.ts')).runCommand))

program
  .command('env')
  .description('print the environment of an app that uses the sidecar of these settings; the key is not in it')
  .addOption(configOption().makeOptionMandatory())
  .option('--caller <name>', 'as whom it asks; may be left out where the settings name one caller')
  .addOption(new Option('--format <format>', 'how').choices(Object.keys(formats)).default('shell' satisfies Format))
  .option('--json', 'the same as --format json')
  .action(lazily(async () => (await import('./env.ts')).printEnvironment))

const ca = program.command('ca').description('the authority that answers for intercepted hosts')

ca.command('export')
  .description('print the certificate that clients are to trust')
  .addOption(configOption().makeOptionMandatory())
  .option('--bundle', 'behind the public ones, because most clients trust one file and nothing else')
  .action(lazily(async () => (await import('./ca.ts')).exportCertificate))

ca.command('path')
  .description(
    'print the path of the bundle, public certificates and ours; makes the authority where there is none yet',
  )
  .addOption(configOption().makeOptionMandatory())
  .action(lazily(async () => (await import('./ca.ts')).printBundlePath))

ca.command('rotate')
  .description('make a new key and certificate; whoever trusts the old one has to be given the new one')
  .addOption(configOption().makeOptionMandatory())
  .action(lazily(async () => (await import('./ca.ts')).rotate))

program
  .command('doctor')
  .description('say what is wrong from here, and the line that mends it; the exit code is the number of failures')
  .addOption(configOption().makeOptionMandatory())
  .option('--json', 'print JSON')
  .action(lazily(async () => (await import('./doctor.ts')).doctor))

registerExport(program, configOption)

const preset = program.command('preset').description('what connections to well-known services need, as data')

preset
  .command('list')
  .description('list presets')
  .option('--json', 'print JSON')
  .action(lazily(async () => (await import('./preset.ts')).listPresets))

preset
  .command('show')
  .description('print what a preset fills in, for each kind of credential, and its parameters')
  .argument('<name>')
  .option('--json', 'print JSON')
  .action(lazily(async () => (await import('./preset.ts')).showPreset))

registerOperatorVerbs(program)

/** Runs the verb that the command line names. */
export async function run(): Promise<void> {
  await addCompletion(program, process.argv.slice(2))
  await program.parseAsync()
}

function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value]
}
