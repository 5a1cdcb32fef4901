// What `kauri exec` does.

import process from 'node:process'
import { tellEvent } from '../container/container-events.ts'
import { execProcess } from '../container/exec-process.ts'
import { KauriError } from '../core/errors.ts'
import type { ExecIo } from '../runtime/container-runtime.ts'
import { requireRunning } from './attach-command.ts'
import type { CommandInput, ParsedOptions } from './command.ts'
import { openContainers } from './container-host.ts'
import { readEnvironment } from './environment-options.ts'
import { signalRelay } from './signal-relay.ts'

/** The exit code is the program's. */
export async function execCommand({
  options,
  positionals: [name = '', ...args],
  context,
}: CommandInput): Promise<number> {
  if (options.text('detach-keys') !== undefined)
    throw new KauriError('UNSUPPORTED', 'what kauri exec runs cannot be left with keys', {
      hint: 'use kauri exec -d',
    })
  const io = ioOf(options)
  const containers = await openContainers(context)
  const { root, host } = containers
  const state = containers.get(name)
  requireRunning(state)
  const environment = await readEnvironment(
    options.texts('env-file'),
    options.texts('env'),
    process.env,
  )
  const terminal = io.kind === 'terminal'
  const program = execProcess(
    {
      id: state.id,
      args,
      environment,
      user: options.text('user'),
      workingDirectory: options.text('workdir'),
      terminal,
      privileged: options.flag('privileged'),
    },
    { root, runtime: host.runtime },
  )
  tellEvent(context.runRoot, state, `exec_start: ${args.join(' ').slice(0, 1000)}`)
  await context.endProgress()
  using signals = signalRelay(context, terminal)
  if (io.kind !== 'detached') signals.listen()
  const { code } = await host.runtime.exec(state.id, program, {
    io,
    signal: context.signal,
    emit: context.emit,
    onStart: running => signals.attach(running),
  })
  return code
}

function ioOf(options: ParsedOptions): ExecIo {
  if (options.flag('detach')) return { kind: 'detached' }
  const input = options.flag('interactive')
  if (!options.flag('tty')) return { kind: 'inherit', input }
  if (input && !process.stdin.isTTY)
    throw new KauriError('USAGE', 'the input device is not a terminal', {
      hint: 'leave -t out where input comes from a pipe or a file',
    })
  return { kind: 'terminal', input }
}
