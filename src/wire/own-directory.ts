import { mkdir } from 'node:fs/promises'

/**
 * Makes a directory that others may enter and we alone may change, where there is none yet and its parent is there. A volume
 * that Kubernetes makes belongs to root and everybody may write to it: what is ours in it needs a directory of its own.
 *
 * Does not throw: whoever uses the directory looks at it first, and says what is wrong with it. No chmod after it, which could
 * be led elsewhere where others may write to the parent.
 */
export async function makeOwnDirectory(path: string): Promise<void> {
  await mkdir(path, { mode: 0o755 }).catch(() => undefined)
}
