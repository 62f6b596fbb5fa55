import { readFile } from 'node:fs/promises'

/** Addresses by lower-case name, in the order of the file; empty when there is no such file. @see hosts(5) */
export async function readHostsFile(path: string): Promise<ReadonlyMap<string, readonly string[]>> {
  const text = await readFile(path, 'utf8').catch(() => '')
  return parseHosts(text)
}

function parseHosts(text: string): Map<string, string[]> {
  const table = new Map<string, string[]>()
  for (const line of text.split('\n')) {
    const [address, ...names] = line.replace(/#.*/, '').split(/\s+/).filter(Boolean)
    for (const name of names) {
      if (address !== undefined) append(table, name.toLowerCase().replace(/\.$/, ''), address)
    }
  }
  return table
}

function append(table: Map<string, string[]>, name: string, address: string): void {
  const addresses = table.get(name) ?? []
  if (addresses.length === 0) table.set(name, addresses)
  if (!addresses.includes(address)) addresses.push(address)
}
