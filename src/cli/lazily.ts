/**
 * The action of a verb, whose file is loaded when somebody says that verb, and not before: `serve` has no use for the others,
 * which are 80 files and 4 MB. What has a verb says so as `lazily(async () => (await import('./check.ts')).check)`.
 */
export function lazily<Words extends unknown[]>(
  load: () => Promise<(...words: Words) => unknown>,
): (...words: Words) => Promise<void> {
  return async function verb(...words) {
    const act = await load()
    await act(...words)
  }
}
