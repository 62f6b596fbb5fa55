import { expect, test } from 'vitest'
import { findDoor } from '../../../src/cli/operator/door.ts'
import { settingsFile } from '../../support/settings-file.ts'

test('where the file has become wrong, its faults are told, and how to ask a sidecar that was started before', async () => {
  const config = await settingsFile('{ admin: { listen: "unix:admin.sock" }, alowlist: [] }')
  const finding = findDoor({ config })
  await expect(finding).rejects.toThrow(/alowlist/)
  await expect(finding).rejects.toThrow(
    /\na sidecar that runs may still serve what the file said before: ask it by --admin /,
  )
  const admin = 'unix:/run/sallyport/admin.sock'
  expect(await findDoor({ config, admin })).toMatchObject({ said: admin, place: { kind: 'unix' } })
})
