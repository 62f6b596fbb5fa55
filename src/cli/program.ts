import { Command } from 'commander'
import { check } from './check.ts'
import { EXIT } from './exit-codes.ts'
import { serve } from './serve.ts'
import { why } from './why.ts'

const CONFIG = ['--config <file>', 'settings file'] as const

/** The command line. */
const program = new Command('sallyport')
  .description('Mints short-lived credentials and injects them into outbound requests, so that apps never hold one.')
  .showHelpAfterError()
  // Wrong words are as wrong as wrong settings; 1 is a refusal.
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : EXIT.settings))

program
  .command('serve')
  .description('open the doors and serve until SIGTERM')
  .requiredOption(...CONFIG)
  .action(async ({ config }: { config: string }) => serve(config))

program
  .command('check')
  .description('read the settings and everything they refer to; exit 0 when all is right, 2 with every fault otherwise')
  .requiredOption(...CONFIG)
  .action(async ({ config }: { config: string }) => check(config))

program
  .command('why')
  .description('print what would be decided, and why; exit 0 for a permit, 1 for a refusal')
  .argument('<url>', 'where to, as in http://api.crm.example.com/v1/contacts')
  .requiredOption(...CONFIG)
  .requiredOption('--caller <name>', 'who asks')
  .option('--method <method>', 'HTTP method', 'GET')
  .option('--json', 'print JSON')
  .action(async (url: string, options: { config: string; caller: string; method: string; json?: true }) =>
    why(url, options),
  )

/** Runs the verb that the command line names. */
export async function run(): Promise<void> {
  await program.parseAsync()
}
