/**
 * What @peculiar/x509 (through tsyringe) asks of the package reflect-metadata, which is not among our dependencies: a
 * place to keep a value under a name, on a class. Imported for its effect, before @peculiar/x509.
 */
const kept = new WeakMap<object, Map<unknown, unknown>>()

function defineMetadata(name: unknown, value: unknown, target: object): void {
  const values = kept.get(target) ?? new Map<unknown, unknown>()
  kept.set(target, values.set(name, value))
}

function getOwnMetadata(name: unknown, target: object): unknown {
  return kept.get(target)?.get(name)
}

function getMetadata(name: unknown, target: object): unknown {
  const parent: object | null = Object.getPrototypeOf(target)
  return getOwnMetadata(name, target) ?? (parent === null ? undefined : getMetadata(name, parent))
}

function metadata(name: unknown, value: unknown) {
  return (target: object) => defineMetadata(name, value, target)
}

if (!('getMetadata' in Reflect)) Object.assign(Reflect, { defineMetadata, getOwnMetadata, getMetadata, metadata })
