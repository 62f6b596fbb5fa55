import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bundle } from '../../../deploy/build.ts'
import { bootMachine, type Machine } from './machine.ts'

const ROOT = new URL('../../..', import.meta.url).pathname
const here = (name: string) => new URL(name, import.meta.url).pathname

/** What the README of deploy/systemd says to do, and beside it an upstream that the settings are led to. */
const SETUP = `
mkdir -p /opt/sallyport/0.1.0/systemd
cp -r /payload/app/. /opt/sallyport/0.1.0/
cp -r /payload/systemd/. /opt/sallyport/0.1.0/systemd/
ln -sfn 0.1.0 /opt/sallyport/current
ln -sf /payload/node /usr/local/bin/node
cd /opt/sallyport/current/systemd
cp sallyport.service sallyport-*.socket /etc/systemd/system/
cp -r sallyport.service.d /etc/systemd/system/
mkdir -p /etc/tmpfiles.d /etc/sysusers.d /etc/logrotate.d
cp tmpfiles.conf /etc/tmpfiles.d/sallyport.conf && systemd-tmpfiles --create /etc/tmpfiles.d/sallyport.conf
cp sysusers.conf /etc/sysusers.d/sallyport.conf && systemd-sysusers /etc/sysusers.d/sallyport.conf
cp logrotate.conf /etc/logrotate.d/sallyport
python3 /payload/local.py sallyport.yaml > /etc/sallyport/sallyport.yaml
(umask 077; echo the-long-lived-secret > /etc/sallyport/secrets/crm; head -c 24 /dev/urandom | base64 > /etc/sallyport/secrets/audit)
printf '[Service]\\nExecStart=/usr/local/bin/node /payload/upstream.mjs\\n[Install]\\nWantedBy=multi-user.target\\n' > /etc/systemd/system/upstream.service
systemctl enable sallyport.service sallyport-crm.socket upstream.service
`

/** A machine on which the units of deploy/systemd are installed, enabled and started. */
export async function bootSallyport(): Promise<Machine> {
  const files = mkdtempSync(join(tmpdir(), 'sallyport-bundle-'))
  try {
    await bundle(join(files, 'app'))
    cpSync(process.execPath, join(files, 'node'))
    const scripts = Object.fromEntries(['upstream.mjs', 'client.py', 'local.py'].map((name) => [name, here(name)]))
    const layout = {
      app: join(files, 'app'),
      node: join(files, 'node'),
      systemd: join(ROOT, 'deploy/systemd'),
      ...scripts,
    }
    return await bootMachine({ files: layout, setup: SETUP })
  } finally {
    rmSync(files, { recursive: true, force: true })
  }
}
