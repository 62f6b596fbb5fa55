import { systemClock } from '../wire/system-clock.ts'
import { makeUndumpable } from '../wire/undumpable.ts'
import { examineAdmin } from './doctor/admin.ts'
import { examineCaller } from './doctor/caller.ts'
import { examineCollectors } from './doctor/collectors.ts'
import { examineDoors } from './doctor/doors.ts'
import { type Finding, failure, type Told } from './doctor/finding.ts'
import { examineGrants } from './doctor/grants.ts'
import { examineHealth } from './doctor/health.ts'
import { examineIssuers } from './doctor/issuers.ts'
import { exitCodeOf, inJson, inWords } from './doctor/report.ts'
import { examineSecrets } from './doctor/secrets.ts'
import { examineSettings } from './doctor/settings.ts'
import { openSite, type Site } from './doctor/site.ts'
import { examineTrust } from './doctor/trust.ts'
import { examineUpstreams } from './doctor/upstreams.ts'
import { refuseUnsafeEnvironment } from './environment.ts'
import { orSettingsExit } from './failing.ts'
import { userEnvironment } from './user-environment.ts'

/** What is looked at once the settings can be read, in the order of the report. */
const CHECKS: Readonly<Record<string, (site: Site) => Promise<readonly Told[]> | readonly Told[]>> = {
  secrets: examineSecrets,
  grants: examineGrants,
  sidecar: async (site) => [
    ...(await examineDoors(site)),
    ...(await examineAdmin(site)),
    ...(await examineHealth(site)),
  ],
  caller: examineCaller,
  trust: examineTrust,
  upstreams: examineUpstreams,
  issuers: examineIssuers,
  collectors: examineCollectors,
}

/**
 * `sallyport doctor`: what is wrong from here, and the line that mends it. Beside a sidecar that runs or not, in the
 * environment of the app where that can be had. The exit code is the number of failures.
 */
export async function doctor({ config, json }: { readonly config: string; readonly json?: true }): Promise<void> {
  await orSettingsExit(async () => {
    const findings = await findAll(config)
    const text = json ? inJson(findings) : inWords(findings)
    // Not by itself: what was given up on may hold a socket still.
    process.stdout.write(text, () => process.exit(exitCodeOf(findings)))
  })
}

async function findAll(config: string): Promise<readonly Finding[]> {
  try {
    refuseUnsafeEnvironment(process.env)
  } catch (error) {
    // Where the environment would print secrets, none is touched.
    return named('settings', [failure('environment', error)])
  }
  makeUndumpable()
  const { loaded, told } = await examineSettings(config)
  if (!loaded) return named('settings', told)
  const site = await openSite(loaded, userEnvironment(process.env), systemClock)
  const found = await Promise.all(Object.keys(CHECKS).map((check) => run(check, site)))
  await site.close()
  return [...named('settings', told), ...found.flat()]
}

/** What one check throws is a finding of that check, and ends no other. */
async function run(check: string, site: Site): Promise<readonly Finding[]> {
  try {
    return named(check, (await CHECKS[check]?.(site)) ?? [])
  } catch (error) {
    return named(check, [failure(check, error)])
  }
}

function named(check: string, told: readonly Told[]): readonly Finding[] {
  return told.map((one) => ({ check, ...one }))
}
