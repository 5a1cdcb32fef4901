// The parts of undici that are used, by their files: its front door loads fetch, caches and web sockets with them, which
// doubles the time to the first request.

declare module 'undici/lib/dispatcher/agent.js' {
  import { Agent } from 'undici'
  export default Agent
}

declare module 'undici/lib/api/api-request.js' {
  import type { Dispatcher } from 'undici'
  export default function request(
    this: Dispatcher,
    options: Omit<Dispatcher.RequestOptions, 'body'> & {
      readonly body: string | Uint8Array | AsyncIterable<Uint8Array> | null
    },
  ): Promise<Dispatcher.ResponseData>
}
