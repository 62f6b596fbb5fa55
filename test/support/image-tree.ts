import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bundle } from '../../deploy/build.ts'

/** The `/app` of the image, without the cache that an image build adds, which depends on the machine; and how to remove it. */
export async function imageTree(): Promise<{ readonly directory: string; remove(): void }> {
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-image-'))
  await bundle(directory)
  return { directory, remove: () => rmSync(directory, { recursive: true, force: true }) }
}
