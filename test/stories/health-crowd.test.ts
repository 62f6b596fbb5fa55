import { spawn } from 'node:child_process'
import { chmodSync } from 'node:fs'
import { describe, expect, onTestFinished, test } from 'vitest'
import { canMakeNetworks, type Host, makeNetworks } from '../support/networks.ts'
import { eventually, remove, startSallyport } from '../support/sallyport.ts'
import { crmDirectory, crmSettings } from './crm.ts'

const POD = '10.77.0.2'
/** Of the node, from which the kubelet asks. */
const NODE = '203.0.113.9'

/** Opens so many connections to the door, one after the other, and keeps them; prints how many it has, again and again. */
const HOLD = `
  const [host, port, count] = process.argv.slice(1)
  let open = 0
  const next = (left) => {
    if (left === 0) return
    const socket = require('node:net').connect({ host, port }, () => { open += 1; next(left - 1) })
    socket.on('error', () => undefined).on('close', () => (open -= 1))
  }
  next(Number(count))
  setInterval(() => console.log(open), 20)`

/** Asks once, from an address, and prints the first line of the answer. */
const PROBE = `
  const [host, port, localAddress] = process.argv.slice(1)
  const socket = require('node:net').connect({ host, port, localAddress })
  socket.on('error', (error) => console.log(error.code)).write('GET /livez HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n')
  socket.once('data', (data) => { console.log(String(data).split('\\r\\n')[0]); process.exit() }).on('close', () => console.log('closed'))`

function programOf(host: Host, script: string, args: readonly string[]) {
  const [program = '', ...rest] = [...host.as(0), process.execPath, '--eval', script, ...args]
  const child = spawn(program, rest, { stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  let out = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text))
  return () => out
}

describe.skipIf(!canMakeNetworks())('the door of probes, in a network of its own', () => {
  test('who holds every connection there is keeps no kubelet from it, whose probe would end the pod', async () => {
    const directory = crmDirectory()
    onTestFinished(() => remove(directory))
    chmodSync(directory, 0o711)
    const networks = await makeNetworks(directory, [`${NODE}/32`])
    onTestFinished(() => networks.close())
    const settings = crmSettings({ port: 443, settings: { health: { listen: '0.0.0.0:15091' } } })
    const running = await startSallyport(directory, settings, { by: networks.pod.as(0) })
    onTestFinished(() => running.stop('SIGKILL').then(() => undefined))
    const held = programOf(networks.world, HOLD, [POD, '15091', '64'])
    await eventually(() => held().split('\n').includes('64') || undefined, 'all of them to be held')
    const answer = programOf(networks.world, PROBE, [POD, '15091', NODE])
    expect(await eventually(() => answer().split('\n')[0] || undefined, 'an answer')).toBe('HTTP/1.1 200 OK')
  })
})
