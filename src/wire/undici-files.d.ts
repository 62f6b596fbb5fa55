// What the files of undici that `undici.ts` imports have, in the words of the types that the package brings along.
declare module 'undici/lib/dispatcher/client.js' {
  export { Client as default } from 'undici'
}

declare module 'undici/lib/dispatcher/pool.js' {
  export { Pool as default } from 'undici'
}

declare module 'undici/lib/api/api-request.js' {
  import type { Dispatcher } from 'undici'

  /** A function that wants a dispatcher as its `this`. */
  const request: {
    call<T>(self: Dispatcher, options: Dispatcher.RequestOptions<T>): Promise<Dispatcher.ResponseData<T>>
  }
  export default request
}
