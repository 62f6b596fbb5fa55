import { parseSettings } from '../../src/settings/load.ts'
import type { Settings } from '../../src/settings/schema.ts'

/** Settings of a text, which refers to nothing that has to be there. */
export async function settingsOf(text: string): Promise<Settings> {
  const { settings } = await parseSettings(text, 'sallyport.yaml')
  return settings
}
