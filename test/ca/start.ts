import { openAuthority } from '../../src/ca/directory.ts'

// A process of its own that opens an authority, at the moment it is told to; prints its certificate.
const [directory = ''] = process.argv.slice(2)
process.stdout.write('ready\n')
await new Promise((resolve) => process.stdin.once('data', resolve))
process.stdin.destroy()
const { certificatePem } = await openAuthority({ directory }, { hosts: ['api.test'], now: Date.now })
process.stdout.write(certificatePem)
