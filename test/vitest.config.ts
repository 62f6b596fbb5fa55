import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    root: new URL('..', import.meta.url).pathname,
    include: ['test/**/*.test.ts'],
    // What hangs ends here. How soon a thing has to be done is what a test says itself: a machine may be slow and busy.
    testTimeout: 120_000,
    hookTimeout: 180_000,
    pool: 'forks',
    // Two cores, and stories start processes of their own.
    maxWorkers: 2,
    globalSetup: ['test/support/provision.ts', 'test/support/kubernetes-tools.ts'],
    reporters: process.env['CI'] ? ['default', './test/support/skip-fails.ts'] : ['default'],
  },
})
