import { didYouMean } from '../forms/near.ts'

/** What to say of a name that nothing defines. */
export function unknown(what: string, name: string, among: Readonly<Record<string, unknown>>): string {
  const names = Object.keys(among)
  return names.length === 0
    ? `there is no ${what} yet: add one to "${what}s"`
    : `${didYouMean([name], names)}use the name of a ${what}: ${names.join(', ')}`
}
