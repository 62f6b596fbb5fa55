import { expect, test } from 'vitest'
import { userEnvironment } from '../../src/cli/user-environment.ts'

const NPM = {
  npm_package_name: 'sallyport',
  npm_lifecycle_event: 'sallyport',
  npm_package_json: '/home/u/sallyport/package.json',
  npm_config_cache: '/home/u/.npm',
  INIT_CWD: '/home/u/app',
  NODE: '/usr/bin/node',
  COLOR: '0',
}
const PUT_FIRST = [
  '/home/u/sallyport/node_modules/.bin',
  '/home/u/node_modules/.bin',
  '/home/node_modules/.bin',
  '/node_modules/.bin',
  '/usr/lib/node_modules/npm/node_modules/@npmcli/run-script/lib/node-gyp-bin',
]

test('what npm added goes, and what the user has stays', () => {
  const own = '/home/u/app/node_modules/.bin:/usr/bin:/node_modules/.bin'
  const env = { ...NPM, PATH: `${PUT_FIRST.join(':')}:${own}`, EDITOR: 'vi', HOME: '/home/u' }
  expect(userEnvironment(env)).toEqual({ PATH: own, EDITOR: 'vi', HOME: '/home/u' })
})

test('a PATH of nothing else is empty, and none is empty as well', () => {
  expect(userEnvironment({ ...NPM, PATH: PUT_FIRST.join(':') })).toEqual({ PATH: '' })
  expect(userEnvironment(NPM)).toEqual({ PATH: '' })
})

test.each([
  [{ npm_package_name: 'shop', npm_lifecycle_event: 'sallyport' }],
  [{ npm_package_name: 'sallyport', npm_lifecycle_event: 'test' }],
  [{ npm_package_json: undefined }],
])('a script of another package is the environment of the user: %j', (more) => {
  const env = { ...NPM, ...more, PATH: PUT_FIRST.join(':') }
  expect(userEnvironment(env)).toBe(env)
})
