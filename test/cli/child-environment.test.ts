import { expect, test } from 'vitest'
import { childEnvironment, type Surroundings } from '../../src/cli/child-environment.ts'

const HERE: Surroundings = {
  address: '127.0.0.1:15001',
  userinfo: 'checkout:key',
  trust: { bundle: '/t/bundle.pem', truststore: '/t/jks', wgetrc: '/t/wgetrc', aptConfig: '/t/apt.conf' },
  placeholders: {},
  env: {},
}

test.each(['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'http_proxy', 'https_proxy', 'all_proxy', 'grpc_proxy'])(
  '%s names the door, with the proof',
  (name) => {
    expect(childEnvironment(HERE)[name]).toBe('http://checkout:key@127.0.0.1:15001')
  },
)

test('where the door knows its caller, there is nothing to show', () => {
  expect(childEnvironment({ ...HERE, userinfo: undefined })['HTTP_PROXY']).toBe('http://127.0.0.1:15001')
})

// The first ones are those that were measured, one client at a time.
test.each([
  'SSL_CERT_FILE',
  'REQUESTS_CA_BUNDLE',
  'CURL_CA_BUNDLE',
  'NODE_EXTRA_CA_CERTS',
  'GIT_SSL_CAINFO',
  'PIP_CERT',
  'npm_config_cafile',
  'AWS_CA_BUNDLE',
  'DENO_CERT',
  'CARGO_HTTP_CAINFO',
  'CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE',
  'GRPC_DEFAULT_SSL_ROOTS_FILE_PATH',
  'HTTPLIB2_CA_CERTS',
  'NIX_SSL_CERT_FILE',
])('%s is the bundle', (name) => {
  expect(childEnvironment(HERE)[name]).toBe('/t/bundle.pem')
})

test('wget, apt and Java have files of their own', () => {
  const variables = childEnvironment(HERE)
  expect(variables['WGETRC']).toBe('/t/wgetrc')
  expect(variables['APT_CONFIG']).toBe('/t/apt.conf')
  expect(variables['JAVA_TOOL_OPTIONS']).toContain('-Djavax.net.ssl.trustStore=/t/jks')
})

test('without an authority nobody is told to trust one', () => {
  const variables = childEnvironment({ ...HERE, trust: undefined })
  expect(Object.keys(variables).filter((name) => /CERT|CA|RC$|APT/.test(name))).toEqual([])
  expect(variables['JAVA_TOOL_OPTIONS']).not.toContain('trustStore')
})

test('NO_PROXY and JAVA_TOOL_OPTIONS are added to, in both spellings', () => {
  const variables = childEnvironment({ ...HERE, env: { no_proxy: 'a.test', JAVA_TOOL_OPTIONS: '-Xmx1g' } })
  expect(variables['NO_PROXY']).toBe('a.test,localhost,127.0.0.1,::1')
  expect(variables['no_proxy']).toBe('a.test,localhost,127.0.0.1,::1')
  expect(variables['JAVA_TOOL_OPTIONS']).toMatch(/^-Xmx1g -Dhttp\.proxyHost=127\.0\.0\.1 /)
})

test('Node is told to look at them', () => {
  expect(childEnvironment(HERE)['NODE_USE_ENV_PROXY']).toBe('1')
})

test('the key is in proxy variables alone: a JVM prints its options', () => {
  const holders = Object.entries(childEnvironment(HERE)).filter(([, value]) => value.includes('checkout:key'))
  expect(holders.map(([name]) => name.toLowerCase()).every((name) => name.endsWith('_proxy'))).toBe(true)
})

test('a placeholder is set, and takes the place of nothing that leads here', () => {
  const variables = childEnvironment({ ...HERE, placeholders: { GITHUB_TOKEN: 'none', HTTPS_PROXY: 'elsewhere' } })
  expect(variables['GITHUB_TOKEN']).toBe('none')
  expect(variables['HTTPS_PROXY']).toBe('http://checkout:key@127.0.0.1:15001')
})
