import type { Recorded } from '../../src/review/recorded.ts'

let serial = 0

/** An entry of the audit: a GET of `checkout` that went through, unless said otherwise. */
export function entry(terms: Partial<Recorded> = {}): Recorded {
  serial += 1
  return {
    time: '2026-11-22T10:00:00.000Z',
    id: `ask-${serial}`,
    door: 'forward 127.0.0.1:15001',
    method: 'GET',
    host: 'api.crm.test',
    path: '/v1/contacts/7',
    caller: 'checkout',
    proof: 'api-key',
    decision: 'permit',
    connection: 'crm',
    credential: { source: 'static', version: '1', fingerprint: '00', secret: 'file:crm@00000000' },
    ...terms,
  }
}
