import { z } from '../forms/zod.ts'
import { mode, refuseMode, systemd } from '../listeners/settings.ts'
import { parseListen } from '../wire/listen.ts'

const listen = z.string().superRefine((text, context) => {
  const where = parseListen(text, { allowNonLoopback: true })
  if (typeof where === 'string') context.addIssue({ code: 'custom', message: where })
})

/** Settings of the door of probes. */
export const healthSettings = z
  .strictObject({
    listen: listen.meta({
      description:
        '`0.0.0.0:PORT` for a kubelet or Prometheus, which come from elsewhere; or `127.0.0.1:PORT`, or `unix:PATH`',
    }),
    mode,
    systemd,
    metrics: z.boolean().default(false).meta({
      description:
        'whether `/metrics` is served here, too: whoever reaches this door then reads the names of callers and connections, and how much they ask',
    }),
  })
  .superRefine(refuseMode)
