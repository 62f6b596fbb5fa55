import type { Command } from 'commander'
import { BASH_COMPLETION } from './bash-completion.ts'
import type { DoorOptions } from './door.ts'

/**
 * Adds `sallyport complete SHELL`, which prints a script for that shell, and what the script asks: words, and names from
 * the running sidecar where one is found by --config, --admin or the environment.
 */
export async function addCompletion(program: Command, argv: readonly string[]): Promise<void> {
  // For every other verb it is a line of the help, and costs nothing.
  if (argv[0] !== 'complete') return void describe(program)
  if (argv[1] === 'bash') return void describe(program).action(() => void process.stdout.write(BASH_COMPLETION))
  const { default: tab } = await import('@bomb.sh/tab/commander')
  const completion = tab(program)
  // The script asks by `complete -- WORDS`; nobody else waits for names.
  if (argv[1] !== '--') return
  const { namesFrom } = await import('./names.ts')
  const { callers, connections } = await namesFrom(doorIn(argv.slice(2)))
  const holders = callers.map(String)
  for (const [command, option, names] of [
    ['grant', 'to', holders],
    ['revoke', 'from', holders],
    ['grants', 'caller', callers],
    ['grants', 'connection', connections],
    ['audit search', 'caller', callers],
    ['audit search', 'connection', connections],
    ['audit tail', 'caller', callers],
    ['audit tail', 'connection', connections],
    ['audit export', 'caller', callers],
    ['audit export', 'connection', connections],
    ['login', 'caller', callers],
    ['logout', 'caller', callers],
    ['why', 'caller', callers],
  ] as const) {
    const found = completion.commands.get(command)?.options.get(option)
    if (found) found.handler = offer(names)
  }
  for (const [command, argument, names] of [
    ['grant', 'connection', connections],
    ['revoke', 'connection', connections],
    ['connection show', 'name', connections],
    ['connection disable', 'name', connections],
    ['connection enable', 'name', connections],
    ['login', 'connection', connections],
    ['logout', 'connection', connections],
    ['caller remove', 'name', callers],
    ['caller rotate-key', 'name', callers],
  ] as const) {
    completion.commands.get(command)?.argument(argument, offer(names))
  }
}

function describe(program: Command): Command {
  return program
    .command('complete')
    .argument('<shell>', 'bash, zsh, fish or powershell')
    .description('print a script that completes words and live names, as in: source <(sallyport complete bash)')
}

function offer(names: readonly string[]) {
  return (complete: (value: string, description: string) => void) => {
    for (const name of names) complete(name, '')
  }
}

/** What has been typed so far. */
function doorIn(words: readonly string[]): DoorOptions {
  const valueOf = (name: string) => {
    const at = words.indexOf(name)
    return at === -1 ? words.find((word) => word.startsWith(`${name}=`))?.slice(name.length + 1) : words[at + 1]
  }
  return {
    config: valueOf('--config') ?? process.env['SALLYPORT_CONFIG'],
    admin: valueOf('--admin') ?? process.env['SALLYPORT_ADMIN'],
    tokenFile: valueOf('--token-file') ?? process.env['SALLYPORT_ADMIN_TOKEN_FILE'],
  }
}
