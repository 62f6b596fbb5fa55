import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type GeneratedFile, generatedFiles } from './generated.ts'

/** `npm run generate` writes the files; with `--check` it names those that differ, and exits 1 when there are any. */
const root = join(import.meta.dirname, '../..')

async function differs({ path, text }: GeneratedFile): Promise<boolean> {
  return (await readFile(join(root, path), 'utf8').catch(() => undefined)) !== text
}

async function check(): Promise<void> {
  for (const file of generatedFiles()) {
    if (!(await differs(file))) continue
    process.stderr.write(`${file.path} is not current: run "npm run generate"\n`)
    process.exitCode = 1
  }
}

async function write(): Promise<void> {
  for (const { path, text } of generatedFiles()) await writeFile(join(root, path), text)
}

await (process.argv.includes('--check') ? check() : write())
