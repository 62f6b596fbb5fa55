import { execFileSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { javaToolOptions } from '../../src/cli/java-options.ts'

const WISHES = { address: '127.0.0.1:15001', noProxy: 'localhost,a.test', truststore: undefined, inherited: undefined }

/** What a JVM makes of them. */
function propertiesOf(options: string): Map<string, string> {
  const printed = execFileSync('sh', ['-c', 'java -XshowSettings:properties -version 2>&1'], {
    env: { ...process.env, JAVA_TOOL_OPTIONS: options },
    encoding: 'utf8',
  })
  return new Map([...printed.matchAll(/^ {4}(\S+) = (.*)$/gm)].map(([, name = '', value = '']) => [name, value]))
}

test('a JVM asks our proxy, for tunnels too, and trusts our authority, whatever is in the path of its file', () => {
  const truststore = `/tmp/it's "here"/truststore.jks`.replaceAll('"', '')
  const properties = propertiesOf(javaToolOptions({ ...WISHES, truststore, inherited: '-Duser.language=de' }))
  for (const scheme of ['http', 'https']) {
    expect(properties.get(`${scheme}.proxyHost`)).toBe('127.0.0.1')
    expect(properties.get(`${scheme}.proxyPort`)).toBe('15001')
  }
  expect(properties.get('http.nonProxyHosts')).toBe('localhost|*.localhost|a.test|*.a.test')
  expect(properties.get('jdk.http.auth.tunneling.disabledSchemes')).toBe('')
  expect(properties.get('javax.net.ssl.trustStore')).toBe(truststore)
  expect(properties.get('javax.net.ssl.trustStoreType')).toBe('JKS')
  expect(properties.get('user.language')).toBe('de')
})

test('what the user excluded for Java stays excluded', () => {
  const options = javaToolOptions({ ...WISHES, inherited: '-Dhttp.nonProxyHosts=b.test' })
  expect(propertiesOf(options).get('http.nonProxyHosts')).toBe('b.test')
})

test('the brackets of an address are none of its', () => {
  expect(javaToolOptions({ ...WISHES, address: '[::1]:15001' })).toContain('-Dhttps.proxyHost=::1 ')
})
