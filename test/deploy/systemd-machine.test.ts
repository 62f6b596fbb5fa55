import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { eventually } from '../support/sallyport.ts'
import { canBoot, type Machine } from '../support/systemd/machine.ts'
import { bootSallyport } from '../support/systemd/sallyport.ts'

let machine: Machine

beforeAll(async () => {
  if (canBoot) machine = await bootSallyport()
}, 180_000)

afterAll(async () => machine?.stop())

const REQUEST = 'curl -sS -m 20 --unix-socket /run/sallyport/crm.sock http://localhost/v1/contacts/7'
const AUDIT = '/opt/sallyport/current/sallyport audit verify'
const DROP_INS = '/etc/systemd/system/sallyport.service.d'
const MS = 240_000
const README = readFileSync(new URL('../../deploy/systemd/README.md', import.meta.url), 'utf8')

/** The first commands of the page behind these words, as they are printed. */
function blockAfter(words: string): string {
  const [, block] = /^```sh\n([\s\S]*?)^```$/m.exec(README.slice(README.indexOf(words))) ?? []
  if (block === undefined || !README.includes(words)) throw new Error(`the page has no commands behind ${words}`)
  return block
}

const ASK_PID = 'pid=$(systemctl show -P MainPID sallyport)'
const ASK_UID = `${ASK_PID}; awk '/^Uid:/ { print $2 }' /proc/$pid/status`

/** As the service sees files: systemd 257 maps the owners of its directories, which are nobody's from outside. */
function inService(script: string): string {
  return `${ASK_PID}; nsenter -t $pid -m ${script}`
}

function onMachine(name: string, run: () => Promise<void>): void {
  // As root with systemd installed, as in CI, it runs; elsewhere it is skipped aloud.
  test.skipIf(!canBoot)(name, run, MS)
}

onMachine('the units start it: every unit is up, and systemd was told where it listens', async () => {
  expect(await machine.must('systemctl --failed --no-legend')).toBe('')
  const shown = await machine.must('systemctl show sallyport -p Type -p ActiveState -p StatusText -p NRestarts')
  const status =
    'forward 127.0.0.1:15001, reverse unix:/run/sallyport/crm.sock; admin unix:/run/sallyport/admin.sock; health 127.0.0.1:15091'
  expect(shown.trim().split('\n').sort()).toEqual(
    ['ActiveState=active', 'NRestarts=0', `StatusText=${status}`, 'Type=notify'].sort(),
  )
  expect(await machine.must(REQUEST)).toBe('Bearer the-long-lived-secret\n')
})

onMachine('an operator asks as the page says: a connection, the audit, the metrics', async () => {
  await machine.must(REQUEST)
  const ask = () => machine.must(`set -e\n${blockAfter('Every other command')}`)
  const said = await eventually(async () => {
    const text = await ask()
    return text.includes('GET api.crm.example.com/v1/contacts/7') ? text : undefined
  }, 'the request to be in the store')
  expect(said).toMatch(/^state +held$/m)
  expect(said).toMatch(/^sallyport_build_info\{/m)
  expect(await machine.must(`${blockAfter('Every other command')}\nsallyport check`)).toContain('is right')
})

onMachine(
  'it runs as nobody that there was before, with no capability, and behind the filter of system calls',
  async () => {
    const text = await machine.must('cat /proc/$(systemctl show -P MainPID sallyport)/status')
    const row = (name: string) => new RegExp(`^${name}:\\s+(\\S+)`, 'm').exec(text)?.[1]
    expect(Number(row('Uid'))).toBeGreaterThanOrEqual(61_184) // the range of DynamicUser=
    for (const set of ['CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) expect([set, row(set)]).toEqual([set, '0'.repeat(16)])
    expect([row('NoNewPrivs'), row('Seccomp')]).toEqual(['1', '2'])
  },
)

onMachine('what lies where has the permissions that the README says', async () => {
  expect(await machine.must("stat -c '%a %U %G' /run/sallyport/crm.sock /run/sallyport/admin.sock")).toBe(
    '660 root sallyport-crm\n600 root root\n',
  )
  const files = [
    '/run/sallyport-ca/bundle.pem',
    '/var/log/sallyport/audit.jsonl',
    '/var/lib/sallyport/store/store.db',
    '/var/lib/sallyport/ca',
    '/run/credentials/sallyport.service/crm',
  ]
  const uid = (await machine.must(ASK_UID)).trim()
  const seen = (await machine.must(inService(`stat -L -c '%a %u %g' ${files.join(' ')}`))).trim().split('\n')
  expect(seen.slice(0, -1)).toEqual(['644', '600', '600', '700'].map((mode) => `${mode} ${uid} ${uid}`))
  // The file of the service itself, on a ramfs; from systemd 254 on, one of root with an ACL, on a tmpfs.
  expect([`400 ${uid} 0`, '440 0 0']).toContain(seen.at(-1))
})

onMachine('who is not in the group of a socket cannot connect', async () => {
  const asNobody = (group: string) => machine.run(`setpriv --reuid 65534 --regid ${group} --clear-groups ${REQUEST}`)
  expect((await asNobody('sallyport-crm')).out).toBe('Bearer the-long-lived-secret\n')
  expect((await asNobody('65534')).out).toMatch(/Couldn't connect|Failed to connect|Permission denied/)
})

onMachine('restarts refuse no connection, cut none, and lose none', async () => {
  const restarts = 'for _ in 1 2 3; do sleep 1; systemctl restart sallyport || exit 1; done'
  const out = await machine.must(
    `python3 /payload/client.py /tmp/stop & ${restarts}; touch /tmp/stop; wait; rm /tmp/stop`,
  )
  // At the forward door nobody has shown a key.
  expect(out.replaceAll(/^\d+ /gm, '')).toBe('HTTP/1.1 200\nHTTP/1.1 407\n')
})

onMachine('a request that is under way when it restarts is answered', async () => {
  const out = await machine.must(`${REQUEST} -H 'x-wait: 2000' & sleep 0.5; systemctl restart sallyport; wait`)
  expect(out).toBe('Bearer the-long-lived-secret\n')
})

onMachine('a drain that is longer than TimeoutStopSec= is waited for', async () => {
  const conf = `printf '[Service]\\nTimeoutStopSec=1\\n' > ${DROP_INS}/short.conf && systemctl daemon-reload && systemctl restart sallyport`
  await machine.must(conf)
  const out = await machine.must(`${REQUEST} -H 'x-wait: 4000' & sleep 1; systemctl stop sallyport 2>/dev/null; wait`)
  const result = await machine.must(
    `systemctl show -P Result sallyport; rm ${DROP_INS}/short.conf; systemctl daemon-reload`,
  )
  expect([out, result]).toEqual(['Bearer the-long-lived-secret\n', 'success\n'])
})

onMachine('after a stop the sockets stay, and the next request starts it', async () => {
  await machine.must('systemctl stop sallyport 2>/dev/null; test -S /run/sallyport/crm.sock')
  expect((await machine.run('systemctl is-active sallyport')).out).toBe('inactive\n')
  expect(await machine.must(REQUEST)).toBe('Bearer the-long-lived-secret\n')
})

onMachine('one that hangs is ended by the watchdog, and started again', async () => {
  const conf = `printf '[Service]\\nWatchdogSec=4\\n' > ${DROP_INS}/watch.conf && systemctl daemon-reload && systemctl restart sallyport`
  await machine.must(conf)
  await machine.must('kill -STOP $(systemctl show -P MainPID sallyport)')
  // It waits in the backlog until the next one is up.
  expect(await machine.must(REQUEST)).toBe('Bearer the-long-lived-secret\n')
  expect(await machine.must('systemctl show -P NRestarts sallyport')).toBe('1\n')
  await machine.must(`rm ${DROP_INS}/watch.conf; systemctl daemon-reload; systemctl restart sallyport`)
})

onMachine('logrotate in the middle of requests, and a restart, leave the chain whole', async () => {
  const files = '/var/log/sallyport/audit.jsonl'
  const many = `(until test -e /tmp/enough; do ${REQUEST} -o /dev/null || exit 1; done)`
  // An empty file is not rotated.
  const rotate = `timeout 60 sh -c 'until test -s ${files}; do sleep 0.1; done' && logrotate --force /etc/logrotate.d/sallyport`
  await machine.must(`${many} & ${rotate} && ${rotate} && touch /tmp/enough && wait $! && systemctl restart sallyport`)
  const whole = `(zcat ${files}.2.gz; cat ${files}.1 ${files})`
  expect(await machine.must(`${whole} | ${AUDIT} -`)).toMatch(/^intact: \d+ lines of \d+ runs/)
  // Something to compare with: a line less is noticed.
  expect((await machine.run(`${whole} | sed 9d | ${AUDIT} -`)).code).toBe(1)
  const owner = await machine.must(ASK_UID)
  expect(await machine.must(inService(`stat -c '%a %u' ${files}`))).toBe(`600 ${owner}`)
})

onMachine('an encrypted credential is a secret like any other', async () => {
  await machine.must(`systemd-creds setup && printf sealed | systemd-creds encrypt --with-key=host --name=crm - /etc/sallyport/secrets/crm.cred
    printf '[Service]\\nLoadCredential=\\nLoadCredential=audit:/etc/sallyport/secrets/audit\\nLoadCredentialEncrypted=crm:/etc/sallyport/secrets/crm.cred\\n' > ${DROP_INS}/z.conf
    systemctl daemon-reload && systemctl restart sallyport`)
  expect(await machine.must(REQUEST)).toBe('Bearer sealed\n')
  const [settings = ''] = blockAfter('Every other command').split('\n')
  const check = `${settings}; cd /etc/sallyport/secrets; mv crm aside; sallyport check`
  expect(await machine.must(`${check}; mv aside crm`)).toMatch(/crm\.cred is sealed[\s\S]*is right/)
  await machine.must(`rm ${DROP_INS}/z.conf; systemctl daemon-reload; systemctl restart sallyport`)
})

onMachine('a new secret is in use after a restart', async () => {
  await machine.must('echo rotated > /etc/sallyport/secrets/crm; systemctl restart sallyport')
  expect(await machine.must(REQUEST)).toBe('Bearer rotated\n')
})

onMachine('a reload takes in a changed grant without a restart', async () => {
  const edit = (from: string, to: string) =>
    `sed -i 's#${from}#${to}#' /etc/sallyport/sallyport.yaml && systemctl reload sallyport`
  const pid = await machine.must('systemctl show -P MainPID sallyport')
  await machine.must(edit('/v1/contacts/', '/v2/contacts/'))
  const refused = async () => ((await machine.must(REQUEST)).includes('rule-not-matched') ? true : undefined)
  await eventually(refused, 'the grant to be another')
  await machine.must(edit('/v2/contacts/', '/v1/contacts/'))
  await eventually(async () => (await machine.must(REQUEST)).startsWith('Bearer ') || undefined, 'the grant to be back')
  expect(await machine.must('systemctl show -P MainPID sallyport')).toBe(pid)
})

onMachine('an upgrade is a link and a restart, and so is the way back', async () => {
  const to = (version: string) =>
    `ln -sfn ${version} /opt/sallyport/current && systemctl restart sallyport && ${REQUEST}`
  await machine.must('cp -r /opt/sallyport/0.1.0 /opt/sallyport/0.2.0')
  expect(await machine.must(to('0.2.0'))).toBe('Bearer rotated\n')
  expect(await machine.must('tr "\\0" " " < /proc/$(systemctl show -P MainPID sallyport)/cmdline')).toContain('/0.2.0/')
  expect(await machine.must(to('0.1.0'))).toBe('Bearer rotated\n')
})

onMachine('an app with the drop-in reaches 127.0.0.1 alone, whatever it does about its proxy', async () => {
  const get = (words: string) => `curl -s -m 2 -o /dev/null -w "%{http_code} " ${words}`
  // 198.51.100.1 stands for the world, 127.0.0.53 for the resolver of this machine.
  const past = ['198.51.100.1', '127.0.0.53'].map((address) => `--noproxy '*' http://${address}:8099/`)
  await machine.must(`ip addr add 198.51.100.1/32 dev lo
    for at in 198.51.100.1 127.0.0.53; do (python3 -m http.server --bind $at 8099 >/dev/null 2>&1 &); done
    printf '[Service]\\nType=oneshot\\nExecStart=/bin/sh /etc/app.sh\\n' > /etc/systemd/system/app.service`)
  await machine.must(`cat > /etc/app.sh <<'END'
${[...past, 'http://api.crm.example.com/'].map(get).join('\n')}
echo
END`)
  // Without the drop-in, everything is there.
  await eventually(
    async () => (await machine.run('sh /etc/app.sh')).out.startsWith('200 200 ') || undefined,
    'the servers',
  )
  // Its caller, beside the one that is there, and the commands of the page.
  await machine.must(`sed -i -e 's/^callers:/&\\n  checkout: { kind: api-key, key: { systemd: checkout } }/' \\
    -e 's/^grants:/&\\n  - { caller: checkout, connection: crm }/' /etc/sallyport/sallyport.yaml`)
  await machine.must(blockAfter('## An app that cannot go past it'))
  await machine.must('systemctl start app')
  expect(await machine.must("journalctl --sync; journalctl -u app -o cat --no-pager | tr -d '\\n'")).toBe('000000200')
})

onMachine('an audit in the journal is whole, too, each run by itself', async () => {
  const edit = (from: string, to: string) =>
    `sed -i 's#${from}#${to}#' /etc/sallyport/sallyport.yaml && systemctl restart sallyport`
  await machine.must(edit(', path: /var/log/sallyport/audit.jsonl', ''))
  await machine.must(`for _ in $(seq 10); do ${REQUEST} -o /dev/null || exit 1; done`)
  const lines = `journalctl --sync; journalctl -u sallyport -o cat | grep '^{"msg"' | grep -v '"msg":"ready"'`
  expect(await machine.must(`${lines} | ${AUDIT} -`)).toMatch(/^intact: 11 lines of 1 runs/)
  await machine.must(edit('kind: json-lines }', 'kind: json-lines, path: /var/log/sallyport/audit.jsonl }'))
})

onMachine('settings that are wrong end it once, with the reason in the journal', async () => {
  await machine.must('echo "nonsense: true" >> /etc/sallyport/sallyport.yaml')
  expect((await machine.run('systemctl restart sallyport')).code).toBe(1)
  expect(await machine.must('systemctl show sallyport -p ActiveState -p NRestarts')).toContain('ActiveState=failed')
  expect(await machine.must('journalctl --sync; journalctl -u sallyport -o cat --no-pager | grep nonsense')).toMatch(
    /sallyport\.yaml:\d+:1/,
  )
  await machine.must('sed -i "/^nonsense/d" /etc/sallyport/sallyport.yaml; systemctl restart sallyport')
})
