import { z } from '../forms/zod.ts'
import { parseListen } from '../wire/listen.ts'

/** Where a door listens. */
export const listen = z
  .string()
  .superRefine((text, context) => {
    const where = parseListen(text)
    if (typeof where === 'string') context.addIssue({ code: 'custom', message: where })
  })
  .meta({
    description:
      '`127.0.0.1:PORT` (0: any free port) or `unix:PATH`; loopback or a socket only, because nothing here is encrypted',
  })

/** Permissions of a Unix socket. */
export const mode = z
  .string()
  .regex(/^0[0-7]{3}$/, 'use four octal digits in quotes, as in "0660"')
  .default('0600')
  .meta({ description: 'permissions of the socket, as octal digits in quotes; who may connect' })

/** The caller that whoever can open this door is. */
export const doorCaller = z
  .string()
  .optional()
  .meta({ description: 'name of a caller of kind `socket`: whoever can open this door is that caller' })
