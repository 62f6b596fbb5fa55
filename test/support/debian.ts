import { existsSync, globSync } from 'node:fs'

interface Origin {
  /** There when the tool is. A file of the package itself: what PATH says may be another build, such as a pyenv Python. */
  readonly file: string
  /** The Debian package that brings it. */
  readonly package: string
}

/** What tests use of this machine, and where Debian has it. */
export const TOOLS = {
  'apt-get': { file: '/usr/bin/apt-get', package: 'apt' },
  curl: { file: '/usr/bin/curl', package: 'curl' },
  'docker-compose': { file: '/usr/bin/docker-compose', package: 'docker-compose' },
  'dpkg-deb': { file: '/usr/bin/dpkg-deb', package: 'dpkg' },
  git: { file: '/usr/bin/git', package: 'git' },
  'gnutls-cli': { file: '/usr/bin/gnutls-cli', package: 'gnutls-bin' },
  logrotate: { file: '/usr/sbin/logrotate', package: 'logrotate' },
  go: { file: '/usr/bin/go', package: 'golang-go' },
  ip: { file: '/usr/sbin/ip', package: 'iproute2' },
  java: { file: '/usr/bin/java', package: 'default-jdk-headless' },
  javac: { file: '/usr/bin/javac', package: 'default-jdk-headless' },
  nft: { file: '/usr/sbin/nft', package: 'nftables' },
  openssl: { file: '/usr/bin/openssl', package: 'openssl' },
  pip: { file: '/usr/lib/python3/dist-packages/pip/__main__.py', package: 'python3-pip' },
  postgresql: {
    /** Each release of Debian has another version, in a directory of its own. */
    get file() {
      const found = globSync('/usr/lib/postgresql/*/bin/initdb').sort((one, other) => versionIn(one) - versionIn(other))
      return found.at(-1) ?? '/usr/lib/postgresql/15/bin/initdb'
    },
    package: 'postgresql',
  },
  prometheus: { file: '/usr/bin/prometheus', package: 'prometheus' },
  promtool: { file: '/usr/bin/promtool', package: 'prometheus' },
  python3: { file: '/usr/bin/python3', package: 'python3' },
  requests: { file: '/usr/lib/python3/dist-packages/requests/__init__.py', package: 'python3-requests' },
  sqlite3: { file: '/usr/bin/sqlite3', package: 'sqlite3' },
  strace: { file: '/usr/bin/strace', package: 'strace' },
  systemd: { file: '/lib/systemd/systemd', package: 'systemd' },
  wget: { file: '/usr/bin/wget', package: 'wget' },
} as const satisfies Readonly<Record<string, Origin>>

function versionIn(path: string): number {
  return Number(/\d+/.exec(path)?.[0])
}

/** A tool of this machine that a test may need. */
export type Tool = keyof typeof TOOLS

/** Whether it is installed. `test.skipIf(!hasTool('go'))`: with CI=true the set-up has failed before a test can be skipped. */
export function hasTool(name: Tool): boolean {
  return existsSync(TOOLS[name].file)
}

/** Where its program is. */
export function pathOf(name: Tool): string {
  return TOOLS[name].file
}
