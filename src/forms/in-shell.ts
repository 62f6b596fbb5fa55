/** A word as a POSIX shell reads it, quoted only where it has to be: for lines that people are to run. */
export function inShell(word: string): string {
  return /^[\w%+,./:@-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}
