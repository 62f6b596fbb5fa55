import { once } from 'node:events'
import http, { type IncomingMessage } from 'node:http'
import https from 'node:https'
import { text } from 'node:stream/consumers'

/** A page that a browser has come to. */
export interface Page {
  readonly url: URL
  readonly status: number
  readonly text: string
  readonly headers: http.IncomingHttpHeaders
}

interface Cookie {
  readonly name: string
  readonly value: string
  readonly host: string
  readonly path: string
}

const MOST_HOPS = 12

/** As much of a browser as logging in takes: cookies by host and path, redirects, links, forms. Every name is 127.0.0.1. */
export class Browser {
  readonly #ca: string
  #cookies: readonly Cookie[] = []
  #site = ''

  constructor(ca: string) {
    this.#ca = ca
  }

  /** Goes there as if somebody had followed a link, and on wherever it is sent. `until`: stops before an address of this form. */
  async visit(to: string, until?: RegExp): Promise<Page> {
    return this.#follow(new URL(to), { method: 'GET', until })
  }

  /** Sends the one form of a page, with what a person would put in. */
  async submit(page: Page, fields: Readonly<Record<string, string>>, until?: RegExp): Promise<Page> {
    const [, action = ''] = /<form[^>]* action="([^"]*)"/.exec(page.text) ?? []
    const hidden = [...page.text.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)"/g)]
    const all = { ...Object.fromEntries(hidden.map(([, name, value]) => [name, value])), ...fields }
    const body = new URLSearchParams(all).toString()
    return this.#follow(new URL(action, page.url), { method: 'POST', body, until })
  }

  /** Consents at the issuer as somebody, from its first page on. */
  async consent(page: Page, account: string, until?: RegExp): Promise<Page> {
    const asked = page.text.includes('name="login"')
      ? await this.submit(page, { login: account, password: 'any' })
      : page
    return this.submit(asked, {}, until)
  }

  async #follow(
    to: URL,
    { until, ...first }: { method: 'GET' | 'POST'; body?: string; until: RegExp | undefined },
  ): Promise<Page> {
    let url = to
    let request: { method: 'GET' | 'POST'; body?: string } = first
    for (let hop = 0; hop < MOST_HOPS; hop++) {
      if (until?.test(url.href)) return { url, status: 0, text: '', headers: {} }
      const response = await this.#send(url, request)
      const { statusCode: status = 0, headers } = response
      this.#keep(url, headers['set-cookie'] ?? [])
      const body = await text(response)
      if (status < 300 || status >= 400 || headers.location === undefined) return { url, status, text: body, headers }
      url = new URL(headers.location, url)
      request = { method: 'GET' }
    }
    throw new Error('redirected without an end')
  }

  async #send(url: URL, { method, body }: { method: 'GET' | 'POST'; body?: string }): Promise<IncomingMessage> {
    const site = this.#site === '' ? 'none' : this.#site === url.host ? 'same-origin' : 'cross-site'
    const headers = {
      Host: url.host,
      'Sec-Fetch-Site': site,
      'Sec-Fetch-Mode': 'navigate',
      'Sec-Fetch-Dest': 'document',
      ...(method === 'POST' && { Origin: url.origin, 'Content-Type': 'application/x-www-form-urlencoded' }),
      ...this.#cookieFor(url),
    }
    this.#site = url.host
    const where = { host: '127.0.0.1', port: url.port, path: url.pathname + url.search, method, headers, agent: false }
    const asked =
      url.protocol === 'https:'
        ? https.request({ ...where, servername: url.hostname, ca: this.#ca })
        : http.request(where)
    asked.setTimeout(20_000, () => asked.destroy(new Error(`${url.host} does not answer`))).end(body)
    const [response]: IncomingMessage[] = await once(asked, 'response')
    if (!response) throw new Error(`${url.host} does not answer`)
    return response
  }

  #cookieFor({ hostname, pathname }: URL): { Cookie?: string } {
    const fit = this.#cookies.filter(({ host, path }) => host === hostname && pathname.startsWith(path))
    return fit.length === 0 ? {} : { Cookie: fit.map(({ name, value }) => `${name}=${value}`).join('; ') }
  }

  #keep({ hostname }: URL, lines: readonly string[]): void {
    for (const line of lines) {
      const [pair = '', ...attributes] = line.split(';').map((part) => part.trim())
      const at = pair.indexOf('=')
      const path = attributes.find((one) => /^path=/i.test(one))?.slice(5) ?? '/'
      const cookie = { name: pair.slice(0, at), value: pair.slice(at + 1), host: hostname, path }
      const others = this.#cookies.filter(
        ({ name, host, path: its }) => name !== cookie.name || host !== hostname || its !== path,
      )
      this.#cookies = cookie.value === '' ? others : [...others, cookie]
    }
  }
}

/** The one link of a page of ours. */
export function linkOf({ text }: Page): string {
  const [, href = ''] = /<a href="([^"]*)"/.exec(text) ?? []
  return href.replaceAll('&amp;', '&')
}
