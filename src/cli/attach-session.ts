// A person or a script at a running container: its output comes here, input, signals and changes of the terminal's size go
// there, until it ends or the keys for it take one off.

import { constants } from 'node:os'
import process from 'node:process'
import type { MonitorConnection } from '../runtime/monitor-client.ts'
import type { CommandContext } from './command.ts'
import { detachFilter } from './detach-keys.ts'
import { outputQueue } from './output-queue.ts'
import { signalRelay } from './signal-relay.ts'

export interface AttachOptions {
  /** The container has a terminal. */
  readonly terminal: boolean
  /** Standard input goes to the container. */
  readonly input: boolean
  /** The end of standard input is the end of the container's, too. */
  readonly endsInput: boolean
  /** Signals go to the container. */
  readonly relaysSignals: boolean
  /** See parseDetachKeys; they count where a terminal is at both ends. */
  readonly detachKeys: Uint8Array
}

/** How a session ended; `lost` where the monitor was killed. */
export type SessionEnd =
  | { readonly kind: 'ended'; readonly code: number }
  | { readonly kind: 'detached' | 'lost' }

/** Stays until the container ends or the person leaves. Closes the connection. */
export async function attachSession(
  connection: MonitorConnection,
  options: AttachOptions,
  context: CommandContext,
): Promise<SessionEnd> {
  using session = new DisposableStack()
  session.use(connection)
  await context.endProgress()
  const left = Promise.withResolvers<SessionEnd>()
  if (options.relaysSignals) {
    const signals = session.use(signalRelay(context, false))
    signals.listen()
    signals.attach({ pid: 0, kill: name => connection.signal(constants.signals[name]) })
  } else {
    const leave = (): void => left.resolve({ kind: 'detached' })
    context.signal.addEventListener('abort', leave, { once: true })
    session.defer(() => context.signal.removeEventListener('abort', leave))
  }
  if (options.terminal) session.use(followSize(connection))
  if (options.input)
    session.use(passInput(connection, options, () => left.resolve({ kind: 'detached' })))
  return await Promise.race([passOutput(connection), left.promise])
}

async function passOutput(connection: MonitorConnection): Promise<SessionEnd> {
  const queues = { stdout: outputQueue(1), stderr: outputQueue(2) }
  let end: SessionEnd = { kind: 'lost' }
  for await (const frame of connection.frames) {
    if (frame.kind === 'output') await queues[frame.stream].push(frame.bytes)
    else end = { kind: 'ended', code: frame.code }
    if (end.kind === 'ended') break
  }
  await Promise.all([queues.stdout.drained(), queues.stderr.drained()])
  return end
}

/** Rows and columns of the terminal that the output goes to; undefined where it goes elsewhere. */
export function terminalSize(): { readonly height: number; readonly width: number } | undefined {
  const { isTTY, rows, columns } = process.stdout
  return isTTY ? { height: rows, width: columns } : undefined
}

function followSize(connection: MonitorConnection): Disposable {
  const tell = (): void => {
    const size = terminalSize()
    if (size !== undefined) connection.resize(size.height, size.width)
  }
  tell()
  process.stdout.on('resize', tell)
  return { [Symbol.dispose]: () => void process.stdout.off('resize', tell) }
}

function passInput(
  connection: MonitorConnection,
  { terminal, endsInput, detachKeys }: AttachOptions,
  onDetach: () => void,
): Disposable {
  const { stdin } = process
  const isRaw = terminal && stdin.isTTY
  const filter = isRaw ? detachFilter(detachKeys) : undefined
  if (isRaw) stdin.setRawMode(true)
  const take = (chunk: Buffer): void => {
    const { bytes, isDetached } = filter?.(chunk) ?? { bytes: chunk, isDetached: false }
    stdin.pause()
    void connection.write(bytes).then(() => (isDetached ? onDetach() : stdin.resume()))
  }
  const end = (): void => {
    if (endsInput) connection.endInput()
  }
  stdin.on('data', take).once('end', end).once('error', end)
  return {
    [Symbol.dispose]() {
      stdin.off('data', take).off('end', end)
      if (isRaw) stdin.setRawMode(false)
      stdin.pause()
      // Somebody who waits for input that nobody reads any more would keep this process.
      stdin.unref?.()
    },
  }
}
