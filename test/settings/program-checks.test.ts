import { expect, test } from 'vitest'
import { programFaults } from '../../src/settings/program-checks.ts'
import { settingsSchema } from '../../src/settings/schema.ts'

function faultsOf(credential: object) {
  const settings = settingsSchema.parse({
    listeners: [{ kind: 'forward', listen: '127.0.0.1:0' }],
    connections: { crm: { hosts: ['api.crm.test'], credential } },
  })
  const environment = { PATH: '/usr/bin:/bin', PROFILE: 'production' }
  return programFaults(settings, environment).map(({ path, message }) => `${path.join('.')}: ${message}`)
}

test('a program that may be run, and variables that are set, are right', () => {
  expect(faultsOf({ kind: 'exec', command: ['sh'], env: ['PROFILE'] })).toEqual([])
  expect(faultsOf({ kind: 'exec', command: ['/bin/sh'] })).toEqual([])
  expect(faultsOf({ kind: 'none' })).toEqual([])
})

test.each([['no-such-program-anywhere'], ['/no/such/file'], ['/bin'], ['/etc/passwd']])(
  'the program %s is refused before anything starts',
  (program) => {
    expect(faultsOf({ kind: 'exec', command: [program] })).toEqual([
      'connections.crm.credential.command.0: use the absolute path of a program that may be run, or the name of one on PATH',
    ])
  },
)

test('a variable that nobody has set is refused', () => {
  expect(faultsOf({ kind: 'exec', command: ['sh'], env: ['PROFILE', 'REGION'] })).toEqual([
    'connections.crm.credential.env.1: REGION is not set: set it, or leave it out',
  ])
})
