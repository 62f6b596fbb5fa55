/** One HTTP/1.1 message. */
export interface Message {
  /** Start line and fields, with the empty line. */
  readonly head: string
  readonly line: string
  /** Chunked framing taken off. */
  readonly body: string
}

/**
 * Splits bytes into messages, more strictly than any server would: what is not a whole message, in the one spelling that
 * a careful sender uses, is `rest`.
 */
export function readMessages(bytes: string): { readonly messages: readonly Message[]; readonly rest: string } {
  const messages: Message[] = []
  let rest = bytes
  for (let next = readOne(rest); next; next = readOne(rest)) {
    messages.push(next.message)
    rest = rest.slice(next.length)
  }
  return { messages, rest }
}

function readOne(bytes: string): { readonly message: Message; readonly length: number } | undefined {
  const [head] = /^[!-~]+ [ -~]+\r\n(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*\r\n)*\r\n/.exec(bytes) ?? []
  if (head === undefined) return undefined
  const body = bodyOf(head, bytes.slice(head.length))
  const line = head.slice(0, head.indexOf('\r'))
  return body && { message: { head, line, body: body.text }, length: head.length + body.length }
}

function bodyOf(head: string, rest: string): { readonly text: string; readonly length: number } | undefined {
  const lengths = [...head.matchAll(/^content-length: *(\d+)\r$/gim)]
  const codings = [...head.matchAll(/^transfer-encoding: *(.*?)\r$/gim)]
  if (lengths.length + codings.length > 1) throw new Error(`ambiguous framing:\n${head}`)
  if (codings.length > 0) return chunksOf(rest)
  const length = Number(lengths[0]?.[1] ?? 0)
  return rest.length < length ? undefined : { text: rest.slice(0, length), length }
}

function chunksOf(bytes: string): { readonly text: string; readonly length: number } | undefined {
  let text = ''
  for (let at = 0; ; ) {
    const [line = '', digits = ''] = /^([0-9a-f]+)\r\n/i.exec(bytes.slice(at, at + 20)) ?? []
    const size = Number.parseInt(digits, 16)
    const end = at + line.length + size
    if (line === '' || bytes.slice(end, end + 2) !== '\r\n') return undefined
    text += bytes.slice(at + line.length, end)
    at = end + 2
    if (size === 0) return { text, length: at }
  }
}
