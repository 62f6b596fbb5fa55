import { clientFilesOf } from '../../ca/client-files.ts'
import { inShell } from '../../forms/in-shell.ts'
import { quoted } from '../java-options.ts'
import { wgetLine } from '../published-trust.ts'
import { JAVA, NODE, REQUESTS, URLLIB } from './programs.ts'

/** What a client is to be asked for, and through which proxy. */
export interface Errand {
  /** On loopback. */
  readonly port: number
  readonly host: string
  /** Path of its source, where it has one. */
  readonly source: string
}

/** What a remedy depends on. */
export interface Remedy {
  /** PEM: what apps are to trust. */
  readonly bundle: string
  readonly env: NodeJS.ProcessEnv
}

/** One client program: how it asks for `https://HOST/` through a proxy, trusting whom it trusts in this environment. */
export interface Client {
  readonly name: string
  readonly program: string
  args(errand: Errand): readonly string[]
  /** A program of ours that it has to read from a file, in Java. */
  readonly source?: string
  /** What makes it trust the authority. */
  remedy(by: Remedy): string
}

const SECONDS = 8

/** Every client whose trust has a setting of its own. None is asked to go anywhere else. */
export const clients: readonly Client[] = [
  {
    name: 'curl',
    program: 'curl',
    args: ({ port, host }) => words(`-sS -o /dev/null --max-time ${SECONDS} --proxy ${at(port)} https://${host}/`),
    remedy: variable('CURL_CA_BUNDLE'),
  },
  {
    name: 'wget',
    program: 'wget',
    args: ({ port, host }) =>
      words(
        `-q -O /dev/null --tries=1 --timeout=${SECONDS} -e use_proxy=on -e https_proxy=${at(port)} https://${host}/`,
      ),
    remedy: ({ bundle, env }) => wgetLine(bundle, env),
  },
  {
    name: 'git',
    program: 'git',
    args: ({ port, host }) => words(`-c http.proxy=${at(port)} ls-remote https://${host}/probe.git`),
    remedy: variable('GIT_SSL_CAINFO'),
  },
  {
    name: 'python3 (ssl)',
    program: 'python3',
    args: ({ port, host }) => ['-c', URLLIB, at(port), `https://${host}/`],
    remedy: variable('SSL_CERT_FILE'),
  },
  {
    name: 'python3 (requests)',
    program: 'python3',
    args: ({ port, host }) => ['-c', REQUESTS, at(port), `https://${host}/`],
    remedy: variable('REQUESTS_CA_BUNDLE'),
  },
  {
    name: 'pip',
    program: 'pip',
    // A URL, so that no index of the environment is asked.
    args: ({ port, host }) =>
      words(
        `--disable-pip-version-check --retries 0 --timeout ${SECONDS} --proxy ${at(port)} download --no-deps --no-cache-dir https://${host}/probe-1-py3-none-any.whl`,
      ),
    remedy: variable('PIP_CERT'),
  },
  {
    name: 'node',
    program: 'node',
    args: ({ port, host }) => ['--input-type=module', '-e', NODE, String(port), host],
    remedy: variable('NODE_EXTRA_CA_CERTS'),
  },
  {
    name: 'npm',
    program: 'npm',
    args: ({ port, host }) =>
      words(
        `ping --registry=https://${host}/ --https-proxy=${at(port)} --noproxy= --fetch-retries=0 --fetch-timeout=${SECONDS}000 --no-update-notifier --logs-max=0`,
      ),
    // Where an npmrc has `cafile`, NODE_EXTRA_CA_CERTS has no effect.
    remedy: variable('npm_config_cafile'),
  },
  {
    name: 'java',
    program: 'java',
    args: ({ port, host, source }) => [source, String(port), host],
    source: JAVA,
    remedy: ({ bundle }) => {
      const store = quoted(`-Djavax.net.ssl.trustStore=${clientFilesOf(bundle).truststore}`)
      return `export JAVA_TOOL_OPTIONS="\${JAVA_TOOL_OPTIONS-} "${inShell(`${store} -Djavax.net.ssl.trustStoreType=JKS`)}`
    },
  },
]

function words(line: string): readonly string[] {
  return line.split(' ')
}

function at(port: number): string {
  return `http://127.0.0.1:${port}`
}

function variable(name: string): Client['remedy'] {
  return ({ bundle }) => `export ${name}=${inShell(bundle)}`
}
