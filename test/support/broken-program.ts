import { writeSecret } from './sallyport.ts'

/**
 * Writes a program, to be started before the command line: in it OpenSSL fails with these words where nothing expects it to.
 * `serve` refuses --import, so it takes the place of the command line, and goes on to it.
 */
export function writeBrokenProgram(directory: string, words: string): string {
  const text = `import crypto from 'node:crypto'; import { syncBuiltinESMExports } from 'node:module'
    crypto.createHmac = () => { throw new Error('${words}') }
    syncBuiltinESMExports()
    process.argv.splice(1, 1)
    await import(process.argv[1])`
  return writeSecret(directory, 'broken.mjs', text)
}
