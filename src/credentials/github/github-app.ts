import { MintedSupply } from '../cache.ts'
import { KeyedSupply } from '../keyed.ts'
import { mintageOf, type SourceKind } from '../tools.ts'
import { Installation } from './installation.ts'
import { repositoryOf } from './repository.ts'
import { githubAppSchema } from './settings.ts'

/** Tokens of an installation of a GitHub App. */
export const githubApp: SourceKind<typeof githubAppSchema> = {
  schema: githubAppSchema,
  dials: ({ apiUrl: url, allowPrivate }) => [{ url, what: 'installation tokens', allowPrivate }],
  build(settings, tools) {
    const { repositories: names, perRepository, owner = '', apiUrl } = settings
    const installation = new Installation(settings, tools)
    const supplyFor = (repositories: readonly string[] | undefined) =>
      new MintedSupply({
        mint: (purpose) => installation.mint(repositories, purpose?.caller.name),
        secretVersion: () => installation.keyVersion(),
        ...mintageOf(tools),
      })
    if (!perRepository) return supplyFor(names)
    const base = new URL(apiUrl).pathname.replace(/\/$/, '')
    return new KeyedSupply({
      keyOf: ({ path }) => repositoryOf(path, { owner, names, base }),
      supplyFor: (repository) => supplyFor([repository]),
    })
  },
}
