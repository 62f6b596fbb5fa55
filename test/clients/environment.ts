import { childEnvironment, type TrustFiles } from '../../src/cli/child-environment.ts'

/** The environment of a client that was given nothing: what this user and this machine have set is not in it. */
export function bareEnvironment(home: string): Record<string, string> {
  return {
    PATH: '/usr/bin:/bin',
    HOME: home,
    LANG: 'C.UTF-8',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    PIP_CONFIG_FILE: '/dev/null',
    npm_config_globalconfig: '/dev/null',
  }
}

/** A forward door, and how clients get in. */
export interface Proxy {
  /** `host:port` */
  readonly address: string
  /** `caller:key` */
  readonly userinfo: string
  /** Absent: clients trust whom they always did. */
  readonly trust?: TrustFiles | undefined
}

/** The same with a proxy, as `sallyport env` gives it. */
export function proxiedEnvironment(home: string, { address, userinfo, trust }: Proxy): Record<string, string> {
  const env = bareEnvironment(home)
  return { ...env, ...childEnvironment({ address, userinfo, trust, placeholders: {}, env }) }
}
