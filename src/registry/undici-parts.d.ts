// The parts of undici that are used, by their files: its front door loads fetch, caches and web sockets with them, which
// doubles the time to the first request. Bodies may be iterables of bytes, which undici's own types leave out.

declare module 'undici/lib/dispatcher/agent.js' {
  import type { Agent, Dispatcher } from 'undici'
  export default class {
    constructor(options: Agent.Options)
    dispatch(
      options: Omit<Dispatcher.DispatchOptions, 'body'> & {
        readonly body?: unknown
      },
      handler: Dispatcher.DispatchHandler,
    ): boolean
    destroy(): Promise<void>
  }
}

declare module 'undici/lib/core/connect.js' {
  import type { OnReadOpts } from 'node:net'
  import type { buildConnector } from 'undici'

  const build: (
    options: buildConnector.BuildOptions & { readonly onread: OnReadOpts },
  ) => buildConnector.connector
  export default build
}
