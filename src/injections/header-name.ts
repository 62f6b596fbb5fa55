import { z } from '../forms/zod.ts'

/** Stands for the credential in the text of a header. */
export const PLACE = '{credential}'

/** Fields that frame or route the message: a credential in one of them would be a second request, or another host. */
const OWNED =
  /^(?:host|content-length|transfer-encoding|connection|upgrade|te|trailer|via|expect|keep-alive|proxy-.*)$/i

/** The name of a header that may carry a credential. */
export const headerName = z
  .string()
  .regex(/^[A-Za-z0-9!#$%&'*+.^`|~-]+$/, 'use a header name such as "X-Api-Key"')
  .refine((name) => !OWNED.test(name), 'use another header: this one belongs to the connection itself')

/** The text of a header around the credential. */
export const headerText = z.string().regex(/^[ -~]*$/, 'use visible ASCII')
