import { readFileSync } from 'node:fs'
import { chmod, copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { build, type Plugin } from 'esbuild'
import { sbomOf } from './sbom.ts'

const ROOT = resolve(import.meta.dirname, '..')

/** What a bundled CommonJS dependency calls to get at Node's own modules; an ES module has none. */
const REQUIRE = `import { createRequire as createRequireForBundle } from 'node:module'
const require = createRequireForBundle(import.meta.url)`

/** Its messages are ours (src/forms/words.ts), in one language; those in forty others are half of the package. */
const withoutTranslations: Plugin = {
  name: 'without-translations',
  setup({ onLoad, onEnd }) {
    let isFound = false
    onLoad({ filter: /\/zod\/v4\/locales\/index\.js$/ }, () => {
      isFound = true
      return { contents: 'export {}' }
    })
    onEnd(() => (isFound ? undefined : { errors: [{ text: 'zod keeps its translations elsewhere by now' }] }))
  },
}

/**
 * Bundles the command line: `sallyport.mjs`, which tells an old Node that it is one, and `sallyport-main.mjs`, which finds
 * the verb. What is imported while running (a verb, a store, the authority, what is behind the admin door) is a file of
 * its own beside it, so that nobody holds in memory what nobody uses. All of it needs Node and nothing else. The command
 * `sallyport`, source maps, licenses and the bill of materials of what went into them lie there, too.
 */
export async function bundle(directory: string): Promise<void> {
  await rm(directory, { recursive: true, force: true })
  await mkdir(directory, { recursive: true })
  const { metafile } = await build({
    absWorkingDir: ROOT,
    // A thread starts from a file of its own.
    entryPoints: { 'sallyport-main': 'src/cli.ts', 'sqlite-worker': 'src/store/sqlite-worker.ts' },
    outdir: directory,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    splitting: true,
    platform: 'node',
    format: 'esm',
    target: 'node26',
    // The source is held in memory as long as its functions are. Names stay, so that stack traces can be read: without
    // `keepNames`, which costs 3 MB, a second function of one name has a number behind it. The map that leads back to the
    // source is for whoever debugs, and not for the image.
    minifyWhitespace: true,
    minifySyntax: true,
    lineLimit: 200,
    sourcemap: 'external',
    sourcesContent: false,
    legalComments: 'none',
    banner: { js: REQUIRE },
    plugins: [withoutTranslations],
    metafile: true,
    logLevel: 'warning',
  })
  const packages = packagesIn(Object.keys(metafile.inputs))
  await writeFile(join(directory, 'licenses.txt'), packages.map(licenseOf).join('\n'))
  await writeFile(join(directory, 'sbom.cdx.json'), `${JSON.stringify(sbomOf(ROOT, packages), undefined, 1)}\n`)
  await writeFile(join(directory, 'sallyport.mjs'), await entry())
  await copyFile(join(ROOT, 'deploy/sallyport'), join(directory, 'sallyport'))
  await chmod(join(directory, 'sallyport'), 0o755)
}

/** deploy/start.mjs, as it has to be where nothing else of the checkout is. */
async function entry(): Promise<string> {
  const text = await readFile(join(ROOT, 'deploy/start.mjs'), 'utf8')
  const moved = text.replace('../node_modules/.cache/sallyport', '.compile-cache')
  return moved.replace('../src/cli.ts', './sallyport-main.mjs')
}

/** The folders of the npm packages that files of the bundle come from. */
function packagesIn(inputs: readonly string[]): readonly string[] {
  const folders = inputs.flatMap((file) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0] ?? [])
  return [...new Set(folders)].sort()
}

/** Whoever hands on a bundle hands on the license texts of what is in it. */
function licenseOf(folder: string): string {
  const { name, version, license } = JSON.parse(readFileSync(join(ROOT, folder, 'package.json'), 'utf8'))
  const text = LICENSE_FILES.map((file) => textOf(join(ROOT, folder, file))).find((found) => found !== undefined)
  return `${name} ${version} (${license})\n\n${text?.trim() ?? 'The package brings no license text along.'}\n`
}

const LICENSE_FILES = ['LICENSE', 'LICENSE.md', 'LICENSE.txt', 'license', 'license.md', 'LICENCE']

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}

if (import.meta.main) {
  const directory = resolve(process.argv[2] ?? join(ROOT, 'dist'))
  await bundle(directory)
  console.log(`${directory} has the bundle, which needs Node 26.10 or later and nothing else:
  ${join(directory, 'sallyport')} serve --config FILE
  node --disable-sigusr1 --expose-gc ${join(directory, 'sallyport.mjs')} serve --config FILE`)
}
