#!/usr/bin/env -S node --disable-sigusr1 --disable-warning=ExperimentalWarning --disable-warning=DEP0060
import { enableCompileCache } from 'node:module'

// From source, the second start needs no TypeScript stripped: half the time. Where NODE_COMPILE_CACHE names a directory, as
// in the image and in `npm run sallyport`, that one serves, for this file too, which saves 15 MB. Only who owns the
// checkout can write this one, because Node runs what it finds there.
enableCompileCache(new URL('../node_modules/.cache/sallyport', import.meta.url).pathname)

const { run } = await import('./cli/program.ts')
await run()
