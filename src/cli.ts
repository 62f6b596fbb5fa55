#!/usr/bin/env -S node --disable-sigusr1 --expose-gc --disable-warning=ExperimentalWarning --disable-warning=DEP0060
// deploy/start.mjs comes before this, and deploy/sallyport, which has the same flags, before that.
import { run } from './cli/program.ts'

await run()
