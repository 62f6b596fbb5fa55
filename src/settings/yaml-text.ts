import { stringify } from 'yaml'

/** Plain data as people read it. */
export function yamlText(value: object): string {
  return stringify(value, { lineWidth: 0 })
}
