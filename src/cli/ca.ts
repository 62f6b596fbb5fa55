import { dirname } from 'node:path'
import { bundleWith } from '../ca/bundle.ts'
import { type CaPlace, openAuthority, readCertificate, rotateAuthority } from '../ca/directory.ts'
import { type Loaded, loadSettings } from '../settings/load.ts'
import { caPlace, interceptedHosts } from '../settings/policy.ts'
import { orSettingsExit } from './failing.ts'

type Place = CaPlace & { readonly bundle: string }

interface CaOptions {
  readonly config: string
}

/** `sallyport ca export`: the certificate that clients are to trust; with `bundle` behind the public ones. */
export async function exportCertificate({ config, bundle }: CaOptions & { readonly bundle?: true }): Promise<void> {
  await orSettingsExit(async () => {
    const certificate = await readCertificate((await placeOf(config)).directory)
    process.stdout.write(bundle ? await bundleWith(certificate) : certificate)
  })
}

/** `sallyport ca path`: the file that clients are to name as their trusted certificates; it is made when missing. */
export async function printBundlePath({ config }: CaOptions): Promise<void> {
  await orSettingsExit(async () => {
    const { place, terms } = await authorityOf(config)
    await openAuthority(place, terms)
    process.stdout.write(`${place.bundle}\n`)
  })
}

/** `sallyport ca rotate`: a new key and certificate. Who trusts the old one refuses the new one until it is handed out. */
export async function rotate({ config }: CaOptions): Promise<void> {
  await orSettingsExit(async () => {
    const { place, terms } = await authorityOf(config)
    const { expiresAt } = await rotateAuthority(place, terms)
    process.stdout.write(
      `${place.bundle} has the new certificate, good until ${new Date(expiresAt).toISOString()}; restart Sallyport, and its clients\n`,
    )
  })
}

async function authorityOf(config: string) {
  const loaded = await loadSettings(config)
  const hosts = interceptedHosts(loaded.settings)
  if (hosts.length === 0) throw new Error('no connection intercepts, so there is nothing to certify: see "connect"')
  return { place: placeIn(loaded), terms: { hosts, now: Date.now } }
}

async function placeOf(config: string): Promise<Place> {
  return placeIn(await loadSettings(config))
}

function placeIn({ settings, file }: Loaded): Place {
  if (settings.ca === undefined) throw new Error('the settings have no "ca": add "ca: { directory: DIR }"')
  if (settings.ca === 'ephemeral')
    throw new Error('an ephemeral authority is in the memory of its process alone: use "ca: { directory: DIR }"')
  return caPlace(settings.ca, dirname(file))
}
