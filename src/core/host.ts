import { isIPv4, isIPv6 } from 'node:net'
import { domainToASCII, domainToUnicode } from 'node:url'

const MAX_NAME = 253
const LABEL = /^(?!-)[a-z0-9_-]{1,63}(?<!-)$/
const LOOKS_NUMERIC = /^(?:[0-9]+|0x[0-9a-f]*)$/

/**
 * The one spelling of a host that the whole house uses, for the decision, DNS, the dial, SNI, the certificate and `Host`:
 * lower-case ASCII without the trailing dot; an IPv6 address keeps its brackets. Undefined: not a host.
 *
 * Strict on purpose. `new URL()` and getaddrinfo disagree about `0x7f.1`, `api%2etest`, full-width dots and tabs, and
 * each disagreement is a way around an allowlist (CVE-2022-24825, CVE-2026-48930).
 */
export function parseHost(text: string): string | undefined {
  if (text.startsWith('[')) return parseIpv6(text)
  if (isIPv4(text)) return text
  return parseName(text)
}

/** A DNS name, never an address: what a settings file may list. */
export function parseName(text: string): string | undefined {
  // Before toLowerCase, which makes a plain "k" of the Kelvin sign.
  if (!/^[!-~]+$/.test(text)) return undefined
  const name = (text.endsWith('.') ? text.slice(0, -1) : text).toLowerCase()
  if (name.length === 0 || name.length > MAX_NAME) return undefined
  const labels = name.split('.')
  if (!labels.every(isLabel)) return undefined
  // WHATWG: a name whose last label is a number is an IPv4 address in disguise (127.1, 2130706433, 0x7f.1).
  return LOOKS_NUMERIC.test(labels.at(-1) ?? '') ? undefined : name
}

function parseIpv6(text: string): string | undefined {
  const address = text.slice(1, -1)
  return text.endsWith(']') && isIPv6(address) && !address.includes('%') ? text.toLowerCase() : undefined
}

function isLabel(label: string): boolean {
  return LABEL.test(label) && (!label.startsWith('xn--') || isALabel(label))
}

/** RFC 5890 section 2.3.2.1: an A-label decodes, and the round trip leaves it as it was. What does not decode, stays as is. */
function isALabel(label: string): boolean {
  const decoded = domainToUnicode(label)
  return decoded !== label && domainToASCII(decoded) === label
}
