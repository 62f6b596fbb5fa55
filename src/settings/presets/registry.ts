import { z } from '../../forms/zod.ts'
import auth0 from './auth0.json' with { type: 'json' }
import databricks from './databricks.json' with { type: 'json' }
import entra from './entra.json' with { type: 'json' }
import github from './github.json' with { type: 'json' }
import google from './google.json' with { type: 'json' }
import okta from './okta.json' with { type: 'json' }
import { type Preset, presetSchema } from './preset.ts'
import salesforce from './salesforce.json' with { type: 'json' }
import slack from './slack.json' with { type: 'json' }

const files = { auth0, databricks, entra, github, google, okta, salesforce, slack }

/** Every preset, by its name. A preset is one file, and one line here. */
export const presets: ReadonlyMap<string, Preset> = new Map(
  Object.entries(files).map(([name, file]) => [name, presetSchema.parse(file)]),
)

const name = z
  .enum(Object.keys(files) as [keyof typeof files] /* Object.keys has forgotten them */)
  .meta({ description: 'name of a preset' })

/** What a connection says of its preset; `expandPresets` has made sure of the rest. */
export const presetSettings = z.union([name, z.object({ name }).catchall(z.string())], {
  error: `use the name of a preset, or { name: PRESET } with its parameters, as \`sallyport preset show\` prints them`,
})
