import type { z } from '../forms/zod.ts'

const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]'])

/** An origin that browsers reach; http:// on this machine alone, because codes come back to it. */
export function checkPublicUrl(text: string, context: z.RefinementCtx<string>): void {
  const url = URL.parse(text)
  const message = 'use an origin such as "https://sallyport.example.com", without a path or a final slash'
  if (!url || !/^https?:$/.test(url.protocol) || url.origin !== text) context.addIssue({ code: 'custom', message })
  else if (url.protocol === 'http:' && !LOOPBACK.has(url.hostname))
    context.addIssue({ code: 'custom', message: 'use https://: codes of logins would travel in the clear' })
}
