import { buildKind, kindUnion } from '../forms/kind.ts'
import type { z } from '../forms/zod.ts'
import type { Door, DoorTools } from './door.ts'
import { forward } from './forward.ts'
import { reverse } from './reverse.ts'
import { transparent } from './transparent.ts'

/** Every door a caller can knock on. */
export const doorKinds = { forward, reverse, transparent }

/** Settings of one door. */
export const doorSettings = kindUnion(doorKinds, 'Listener')
export type DoorSettings = z.infer<typeof doorSettings>

/** Builds what the settings describe; it listens after `open`. */
export function buildDoor(settings: DoorSettings, tools: DoorTools): Door {
  return buildKind<DoorTools, Door>(doorKinds, settings, tools)
}
