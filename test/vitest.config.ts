import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    root: new URL('..', import.meta.url).pathname,
    include: ['test/**/*.test.ts'],
    testTimeout: 20_000,
    hookTimeout: 30_000,
    pool: 'forks',
    // Two cores, and stories start processes of their own.
    maxWorkers: 2,
    globalSetup: ['test/support/provision.ts', 'test/support/kubernetes-tools.ts'],
    reporters: process.env['CI'] ? ['default', './test/support/skip-fails.ts'] : ['default'],
  },
})
