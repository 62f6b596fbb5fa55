import type { Entry } from '../audit/entry.ts'

/** One entry of the audit as a line for people; what is no entry comes back as it is. Undefined: it is nothing to people. */
export function readableLine(line: string): string | undefined {
  try {
    const { msg, ...entry }: Entry & { readonly msg: string } = JSON.parse(line) // as src/audit wrote it
    // That the audit begins, and by which hash, is for whoever verifies it.
    if (msg === 'start') return undefined
    return msg === 'ask' ? inWords(entry) : line
  } catch {
    return line
  }
}

function inWords(entry: Entry): string {
  const { time, status, method, host, path, caller, proof, connection } = entry
  const clock = new Date(time).toTimeString().slice(0, 8)
  const who = caller === undefined ? 'nobody known' : `${caller}, known by ${proof}`
  return `${clock}  ${status ?? '---'}  ${method} ${host ?? connection ?? ''}${path ?? ''}  ${who}  ${outcome(entry)}`
}

function outcome({ decision, code, credential, mintMs = 0, totalMs }: Entry): string {
  if (code !== undefined) return `${decision === 'refuse' ? 'refused' : 'failed'}: ${code}`
  const minted = mintMs >= 1 ? `, ${Math.round(mintMs)} of them to mint it` : ''
  return `${credential?.version ?? 'no credential'}, ${Math.round(totalMs)} ms${minted}`
}
