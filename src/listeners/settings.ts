import { textReference } from '../forms/network.ts'
import { z } from '../forms/zod.ts'
import { secretReference } from '../secrets/registry.ts'
import { faultOfCertificates } from '../wire/certificate-pair.ts'
import { parseListen } from '../wire/listen.ts'
import { faultOfServerCertificates } from '../wire/server-tls.ts'

/** How many sockets a door has at most. */
export const maxSockets = z.int().min(2).max(1_000_000).default(4096).meta({
  description:
    'sockets open at this door at once; of one too many, whoever has most loses the newest. All doors together have half of the descriptors of the process (`ulimit -n`), whatever this says',
})

/** Where a door listens that is never encrypted. */
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
  .optional()
  .meta({ description: 'permissions of the socket, as octal digits in quotes; who may connect; without it 0600' })

/** Which of the sockets that systemd passes is this one. */
export const systemd = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._@-]{0,127}$/, 'use the FileDescriptorName= of the socket unit, as in "forward"')
  .optional()
  .meta({
    description:
      'systemd opens this address before Sallyport starts, in a socket unit with this `FileDescriptorName=`; what it passes has to be bound to `listen`, and its permissions are those of the unit',
  })

/** The caller that whoever can open this door is. */
export const doorCaller = z
  .string()
  .optional()
  .meta({ description: 'name of a caller of kind `socket`: whoever can open this door is that caller' })

/** Where a door of callers listens; `refusePlace` has the rest to say. */
export const doorListen = z
  .string()
  .superRefine((text, context) => {
    const where = parseListen(text, { allowNonLoopback: true })
    if (typeof where === 'string') context.addIssue({ code: 'custom', message: where })
  })
  .meta({
    title: 'listen address',
    description:
      '`127.0.0.1:PORT` (0: any free port) or `unix:PATH`; another address, such as `0.0.0.0:PORT`, only with `tls`',
  })

/** The TLS of a TCP door. */
export const doorTls = z
  .strictObject({
    certificate: textReference(faultOfServerCertificates).meta({
      title: 'file reference',
      description:
        'PEM file of the certificate of this door, then of those that lead up to an authority; read again when it changes',
    }),
    key: secretReference.meta({
      description: 'its private key, PEM without a passphrase; may be in the same file as the certificate',
    }),
    clientCa: textReference(faultOfCertificates).meta({ title: 'file reference' }).optional().meta({
      description:
        'PEM file of the authorities that vouch for clients: each is asked for a certificate, which `mtls` callers are known by, and none has to show one',
    }),
  })
  .optional()
  .meta({
    description: 'encrypts this door (TLS 1.2 or 1.3, HTTP/1.1), so that it may be on another address than loopback',
  })

/** Settings of the TLS of a door. */
export type DoorTls = NonNullable<z.infer<typeof doorTls>>

interface Told {
  addIssue(issue: { code: 'custom'; path: string[]; message: string }): void
}

/** What only whoever opens a socket can give it. */
export function refuseMode(
  { systemd: name, mode: digits }: { readonly systemd?: string | undefined; readonly mode?: string | undefined },
  context: Told,
): void {
  if (name === undefined || digits === undefined) return
  const message = `leave it out, and say SocketMode=${digits} in the socket unit: systemd opens this socket`
  context.addIssue({ code: 'custom', path: ['mode'], message })
}

/** What of a door's place does not go with who opens it, or with whether it is encrypted. */
export function refusePlace(
  place: { readonly listen: string; readonly tls?: unknown } & Parameters<typeof refuseMode>[0],
  context: Told,
): void {
  refuseMode(place, context)
  const { listen: text, tls } = place
  const fault = parseListen(text)
  if (tls === undefined && typeof fault === 'string') {
    const message = `${fault}. Or encrypt it, by tls: { certificate: { file: PATH }, key: { file: PATH } }`
    context.addIssue({ code: 'custom', path: ['listen'], message })
  }
  if (tls !== undefined && text.startsWith('unix:')) {
    const message = 'leave it out: a socket never leaves this machine, and its permissions say who may connect'
    context.addIssue({ code: 'custom', path: ['tls'], message })
  }
}
