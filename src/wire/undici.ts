import type { Dispatcher } from 'undici'
import request from 'undici/lib/api/api-request.js'
import BareClient from 'undici/lib/dispatcher/client.js'

/**
 * The tenth of undici that we use, file by file: the package as a whole brings `fetch`, caches, mocks and agents along, 86
 * more modules and 8 MB. Its types come from `undici` as ever, those of the files from `undici-files.d.ts`.
 */
export { default as Pool } from 'undici/lib/dispatcher/pool.js'

/** One connection, and `request`, which the package as a whole would have given to every dispatcher. */
export class Client extends BareClient {
  override request<T>(options: Dispatcher.RequestOptions<T>): Promise<Dispatcher.ResponseData<T>> {
    return request.call(this, options)
  }
}
