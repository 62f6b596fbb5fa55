import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bundle } from '../../../deploy/build.ts'
import { bootMachine, type Machine } from './machine.ts'

const ROOT = new URL('../../..', import.meta.url).pathname
const here = (name: string) => new URL(name, import.meta.url).pathname

/**
 * The section "Install" of deploy/systemd/README.md as it is printed, but for what is pasted, and for the settings, which are
 * led to an upstream on this machine. Where it starts the units, systemd itself does so later, when it boots.
 */
function setup(): string {
  const readme = readFileSync(join(ROOT, 'deploy/systemd/README.md'), 'utf8')
  const [, section = ''] = /^## Install$([\s\S]*?)^(?:## |Every other command)/m.exec(readme) ?? []
  const blocks = Array.from(section.matchAll(/^```sh\n([\s\S]*?)^```$/gm), ([, block = '']) => block)
  const edits: readonly (readonly [RegExp, string])[] = [
    [/^cp sallyport\.yaml (\S+).*$/m, 'python3 /payload/local.py sallyport.yaml > $1'],
    [/; cat > (\S+\/crm)\).*$/m, '; echo the-long-lived-secret > $1)'],
    [/^systemctl daemon-reload && systemctl enable --now (.*)\n.*\n$/m, 'systemctl enable $1 upstream.service\n'],
  ]
  const followed = edits.reduce((text, [from, to]) => {
    if (!from.test(text)) throw new Error(`the README has another form of ${from}`)
    return text.replace(from, to)
  }, blocks.join(''))
  return `ln -sf /payload/node /usr/local/bin/node\n${UPSTREAM}cd /payload\n${followed}`
}

const UPSTREAM = `printf '[Service]\\nExecStart=/usr/local/bin/node /payload/upstream.mjs\\n[Install]\\nWantedBy=multi-user.target\\n' > upstream.service
`

/** A machine on which the units of deploy/systemd are installed, enabled and started. */
export async function bootSallyport(): Promise<Machine> {
  const files = mkdtempSync(join(tmpdir(), 'sallyport-bundle-'))
  try {
    await bundle(join(files, 'dist'))
    cpSync(process.execPath, join(files, 'node'))
    const scripts = Object.fromEntries(['upstream.mjs', 'client.py', 'local.py'].map((name) => [name, here(name)]))
    const layout = {
      dist: join(files, 'dist'),
      node: join(files, 'node'),
      'deploy/systemd': join(ROOT, 'deploy/systemd'),
      ...scripts,
    }
    return await bootMachine({ files: layout, setup: setup() })
  } finally {
    rmSync(files, { recursive: true, force: true })
  }
}
