import { buildKind, kindUnion } from '../forms/kind.ts'
import type { z } from '../forms/zod.ts'
import { basic } from './basic.ts'
import { bearer } from './bearer.ts'
import { cookie } from './cookie.ts'
import { dpop } from './dpop.ts'
import { gitBasic } from './git-basic.ts'
import { header } from './header.ts'
import type { Injection } from './injection.ts'
import { placeholder } from './placeholder.ts'
import { query } from './query.ts'
import { template } from './template.ts'

/** Every way for a credential to enter a request. */
export const injectionKinds = {
  bearer,
  dpop,
  header,
  template,
  basic,
  'git-basic': gitBasic,
  query,
  cookie,
  placeholder,
}

/** Settings of one injection. */
export const injectionSettings = kindUnion(injectionKinds, 'Injection')

/** Builds what the settings describe. */
export function buildInjection(settings: z.infer<typeof injectionSettings>): Injection {
  return buildKind<undefined, Injection>(injectionKinds, settings, undefined)
}
