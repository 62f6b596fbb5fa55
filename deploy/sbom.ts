import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** One package of package-lock.json. */
interface Locked {
  readonly version: string
  readonly license?: string
  readonly integrity?: string
}

/**
 * The bill of materials of a bundle, as CycloneDX 1.6: the packages that files of it come from (`folders`, relative to
 * `root`), and no others. `npm sbom` lists what is installed; with `--omit dev` it leaves out 19 packages of ours that a
 * development package needs, too (npm 11.19). It has no date and no random number: the same lock and the same source give
 * the same bill.
 * @see https://cyclonedx.org/docs/1.6/json/
 */
export function sbomOf(root: string, folders: readonly string[]): object {
  const { name, version, license } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const { packages }: { packages: Record<string, Locked> } = JSON.parse(
    readFileSync(join(root, 'package-lock.json'), 'utf8'),
  )
  const components = folders.map((folder) => componentOf(folder, packages[folder]))
  const digest = createHash('sha256')
    .update(JSON.stringify([version, components]))
    .digest('hex')
  const self = `${name}@${version}`
  return {
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    serialNumber: `urn:uuid:${digest.replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*$/, '$1-$2-8$3-8$4-$5')}`,
    version: 1,
    metadata: {
      lifecycles: [{ phase: 'build' }],
      component: {
        'bom-ref': self,
        type: 'application',
        name,
        version,
        purl: `pkg:npm/${self}`,
        licenses: [{ license: { id: license } }],
      },
    },
    components,
    dependencies: [
      { ref: self, dependsOn: components.map((one) => one['bom-ref']) },
      ...components.map((one) => ({ ref: one['bom-ref'] })),
    ],
  }
}

function componentOf(folder: string, locked: Locked | undefined) {
  if (!locked) throw new Error(`${folder} is in the bundle and not in package-lock.json`)
  const name = folder.slice(folder.lastIndexOf('node_modules/') + 'node_modules/'.length)
  const { version, license, integrity } = locked
  const purl = `pkg:npm/${name.replace('@', '%40')}@${version}`
  return {
    'bom-ref': purl,
    type: 'library',
    name,
    version,
    purl,
    ...(license !== undefined && {
      licenses: [/\s/.test(license) ? { expression: license } : { license: { id: license } }],
    }),
    ...(integrity !== undefined && { hashes: hashesOf(integrity) }),
  }
}

/** `sha512-BASE64`, of the tarball. */
function hashesOf(integrity: string) {
  const [, digest = ''] = /^sha512-(\S+)$/.exec(integrity) ?? []
  return [{ alg: 'SHA-512', content: Buffer.from(digest, 'base64').toString('hex') }]
}
