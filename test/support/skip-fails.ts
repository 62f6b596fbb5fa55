import type { Reporter, TestModule } from 'vitest/node'

/** With CI=true a skipped test is a failed one: what was not tried has not been proved. */
export default class SkipFails implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const tests = modules.flatMap((module) => [...module.children.allTests()])
    const skipped = tests.filter((test) => test.result().state === 'skipped')
    const failed = tests.filter((test) => test.result().state === 'failed')
    for (const test of skipped)
      process.stderr.write(`skipped, which fails here: ${test.module.relativeModuleId} > ${test.fullName}\n`)
    if (skipped.length > 0) process.exitCode = 1
    process.stdout.write(
      `\n${tests.length - skipped.length - failed.length} passed, ${failed.length} failed, ${skipped.length} skipped\n`,
    )
  }
}
