import { BlockList, isIP } from 'node:net'
import { faultOfPattern } from '../core/host-table.ts'
import { z } from './zod.ts'

/** An exact name or `*.suffix`, in the one spelling. */
export const hostPattern = z
  .string()
  .superRefine((pattern, context) => {
    const fault = faultOfPattern(pattern)
    if (fault) context.addIssue({ code: 'custom', message: `${fault} (was "${pattern.slice(0, 80)}")` })
  })
  .meta({ description: 'exact name or `*.suffix` (any depth, never the suffix itself), lower-case ASCII or punycode' })

export const port = z.int().min(1).max(65535)

export const cidr = z.string().superRefine((text, context) => {
  const fault = faultOfCidr(text)
  if (fault) context.addIssue({ code: 'custom', message: fault })
})

function faultOfCidr(text: string): string | undefined {
  const [address = '', bits = '', ...rest] = text.split('/')
  const family = isIP(address)
  const isRight =
    family !== 0 && /^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128) && rest.length === 0
  return isRight ? undefined : 'use an address range such as "10.20.0.0/16", "127.0.0.1/32" or "fd00:1::/48"'
}

/** Ranges as a lookup. Entries have passed `cidr`. */
export function toBlockList(ranges: readonly string[]): BlockList {
  const list = new BlockList()
  for (const range of ranges) {
    const [address = '', bits = ''] = range.split('/')
    list.addSubnet(address, Number(bits), isIP(address) === 4 ? 'ipv4' : 'ipv6')
  }
  return list
}

/** Private, loopback and link-local addresses that may be dialled nevertheless. */
export const allowPrivate = z.array(cidr).default([]).meta({
  description: 'private, loopback or reserved ranges that may be dialled nevertheless; without it they are refused',
})

/** What is wrong with the text of a file, with the form to use; undefined when it is right. */
export type FaultOfText = (text: string) => string | undefined

/** What it means that a file is gone while we run: nothing has changed, or what it said is taken back (its text is ''). */
export type WhenGone = 'kept' | 'taken back'

/** A file that holds no secret. Relative paths start at the settings file. */
export class FileReference {
  readonly file: string
  /** Judges its text; a file without it holds certificates. */
  readonly faultOfText: FaultOfText | undefined
  readonly whenGone: WhenGone

  constructor(file: string, faultOfText?: FaultOfText, whenGone: WhenGone = 'kept') {
    this.file = file
    this.faultOfText = faultOfText
    this.whenGone = whenGone
  }
}

const filePath = z.strictObject({ file: z.string().min(1) }, { error: 'use { file: PATH }' })

export const fileReference = filePath.transform(({ file }) => new FileReference(file))

/** A file of text that is read again when it changes. */
export function textReference(faultOfText: FaultOfText): typeof fileReference {
  return filePath.transform(({ file }) => new FileReference(file, faultOfText))
}

export const trustFields = {
  ca: fileReference.optional().meta({ description: 'PEM file of the authorities to trust instead of the public ones' }),
}

export const tlsTrust = z.strictObject(trustFields).prefault({})
