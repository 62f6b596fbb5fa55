import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { parse } from 'yaml'
import { makeAuthority } from '../../support/certificates.ts'
import { appChart, filesOfReadme } from '../../support/chart-readme.ts'
import { only, render, type Values } from '../../support/helm.ts'
import { type Container, type PodSpec, podOf } from '../../support/kubernetes-pod.ts'
import type { Manifest } from '../../support/kubernetes-strict.ts'
import { hasKubernetesTools } from '../../support/kubernetes-tools.ts'
import { sendRaw } from '../../support/raw-client.ts'
import { privateDirectory, remove, runCli, startSallyport, writeSecret } from '../../support/sallyport.ts'

interface Shape {
  readonly manifests: readonly Manifest[]
  readonly container: Container
  readonly settings: string
}

const SHAPES: Readonly<Record<string, () => Shape>> = {
  sidecar: () => shapeOf(render({}, appChart()), ({ initContainers }) => initContainers),
  gateway: () => shapeOf(render(parse(filesOfReadme().get('gateway.yaml') ?? '')), ({ containers }) => containers),
}

function shapeOf(manifests: readonly Manifest[], of: (spec: PodSpec) => Container[] | undefined): Shape {
  const [container] = of(podOf(only(manifests, 'Deployment'))?.spec ?? { containers: [] }) ?? []
  const { data } = only(manifests, 'ConfigMap') as unknown as { data: Record<string, string> }
  if (!container) throw new Error('no container of ours')
  return { manifests, container, settings: data['sallyport.yaml'] ?? '' }
}

/** A place that looks like /etc/sallyport of the container does, with every path of its volumes moved below it. */
async function mounted({ container, settings }: Shape): Promise<{ readonly directory: string; readonly text: string }> {
  const directory = privateDirectory()
  onTestFinished(() => remove(directory))
  const authority = await makeAuthority()
  const identity = await authority.issue(['sallyport.test'])
  const contents: Readonly<Record<string, Readonly<Record<string, string>>>> = {
    secrets: { crm: 'upstream-secret' },
    keys: { app: 'key-of-the-app' },
    tls: { 'tls.crt': identity.cert, 'tls.key': identity.key },
    cluster: { token: 'own-token', 'ca.crt': authority.certPem },
  }
  const moved = (container.volumeMounts ?? []).reduce((text, { mountPath }) => {
    const [, below] = /^\/etc\/sallyport\/(\w+)$/.exec(mountPath) ?? []
    if (below !== undefined) {
      mkdirSync(join(directory, below))
      for (const [name, one] of Object.entries(contents[below] ?? {})) writeSecret(join(directory, below), name, one)
      return text
    }
    if (mountPath === '/etc/sallyport') return text
    mkdirSync(join(directory, mountPath), { recursive: true })
    return text.replaceAll(`${mountPath}/`, `${join(directory, mountPath)}/`)
  }, settings)
  writeFileSync(join(directory, 'sallyport.yaml'), moved)
  return { directory, text: moved }
}

describe.skipIf(!hasKubernetesTools()).each(Object.entries(SHAPES))('the settings of a %s', (_, shapeIn) => {
  test('are right, with what its volumes hold, and every file that they name is in one', async () => {
    const { directory, text } = await mounted(shapeIn())
    expect(text).not.toMatch(/[: ]\/(?:var|run)\//)
    const checked = await runCli(['check', '--config', join(directory, 'sallyport.yaml')])
    expect(checked.stdout).toContain('is right')
    expect(checked.code).toBe(0)
  })

  test('listen at the ports that the container names, and at no other', () => {
    const { container, settings } = shapeIn()
    const listened = [...settings.matchAll(/listen: "?0\.0\.0\.0:(\d+)/g)].map(([, port]) => port)
    expect(new Set(listened)).toEqual(new Set(container.ports?.map(({ containerPort }) => `${containerPort}`)))
  })

  test('run, and answer each probe where the container has it', async () => {
    const { container, ...shape } = shapeIn()
    const { directory, text } = await mounted({ container, ...shape })
    const anywhere = text.replaceAll(/(?:0\.0\.0\.0|127\.0\.0\.1):\d+/g, '127.0.0.1:0')
    const running = await startSallyport(directory, parse(anywhere) as object)
    onTestFinished(() => running.stop().then(() => undefined))
    const probes = [container.startupProbe, container.livenessProbe, container.readinessProbe].filter(
      (one) => one !== undefined,
    )
    for (const { httpGet } of probes) {
      expect(shape.settings).toContain(`listen: 0.0.0.0:${String(httpGet?.port)}`)
      const request = `GET ${httpGet?.path} HTTP/1.1\r\nHost: 10.1.2.3\r\nConnection: close\r\n\r\n`
      expect((await sendRaw(running.health ?? 'none', request)).text).toMatch(/^HTTP\/1\.1 200 /)
    }
    expect(probes.length).toBeGreaterThan(1)
  })

  test('end within the grace that the pod has', () => {
    const { manifests, container, settings } = shapeIn()
    const spec = podOf(only(manifests, 'Deployment'))?.spec
    const { drainTimeoutMs } = parse(settings) as { drainTimeoutMs: number }
    const seconds = (container.lifecycle?.preStop?.sleep?.seconds ?? 0) + drainTimeoutMs / 1000
    expect(seconds).toBeLessThan(spec?.terminationGracePeriodSeconds ?? 30)
  })
})

test('the program knows the words that a container is started with', async () => {
  const { stdout } = await runCli(['serve', '--help'])
  for (const word of ['--config', '--watch']) expect(stdout).toContain(word)
})

describe.skipIf(!hasKubernetesTools())('the variables of an app', () => {
  /** What `sallyport env` prints for settings at their own place, from which no secret is read. */
  async function printed(settings: string): Promise<unknown> {
    const directory = privateDirectory()
    onTestFinished(() => remove(directory))
    mkdirSync(join(directory, 'keys'))
    writeSecret(join(directory, 'keys'), 'app', 'key-of-the-app')
    writeFileSync(join(directory, 'sallyport.yaml'), settings)
    const args = ['env', '--config', join(directory, 'sallyport.yaml'), '--caller', 'app', '--format', 'kubernetes']
    return (parse((await runCli(args)).stdout) as { env: unknown }).env
  }

  test.each([
    ['whose connections are intercepted', {}],
    ['who is to trust nobody else', { sidecar: { trust: false, settings: { content: { ca: null } } } }],
  ])('%s are what `sallyport env` prints', async (_, sallyport) => {
    const manifests = render({ sallyport }, appChart())
    const { settings } = shapeOf(manifests, ({ initContainers }) => initContainers)
    const [app] = podOf(only(manifests, 'Deployment'))?.spec.containers ?? []
    expect(app?.env).toEqual(await printed(settings))
  })
})

test.skipIf(!hasKubernetesTools())(
  'a reverse door of the gateway knows the names of its Service, whatever the release is called',
  () => {
    const nameIn = (values: Values) => {
      const manifests = render({ ...values, gateway: { enabled: true, tlsSecretName: 'tls' } })
      const { settings } = shapeOf(manifests, ({ containers }) => containers)
      return [settings, only(manifests, 'Service').metadata.name] as const
    }
    for (const values of [{}, { fullnameOverride: 'way-out' }]) {
      const [settings, name] = nameIn(values)
      for (const end of ['', '.shop', '.shop.svc', '.shop.svc.cluster.local'])
        expect((parse(settings) as Settings).listeners[1]?.hostnames).toContain(`${name}${end}`)
    }
  },
)

interface Settings {
  readonly listeners: readonly { readonly hostnames?: readonly string[] }[]
}
