// What any Node can read, so that an old one says what is wrong. `deploy/sallyport` starts this, and the bundle begins with it.
import module from 'node:module'
import { fileURLToPath } from 'node:url'

const [major, minor] = process.versions.node.split('.').map(Number)
if (major < 26 || (major === 26 && minor < 10)) {
  console.error(`sallyport needs Node 26.10 or later: this one is ${process.versions.node}`)
  process.exit(2)
}

// Here and not by NODE_COMPILE_CACHE, which every child of `sallyport run` would have; where that is set, it counts. Node
// runs what it finds there, so it has to be a place that only the owner of this file can write.
module.enableCompileCache(fileURLToPath(new URL('../node_modules/.cache/sallyport', import.meta.url)))
await import('../src/cli.ts')
