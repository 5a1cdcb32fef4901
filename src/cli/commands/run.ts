// `kauri run`: a container from an image, in the foreground, until it ends. Signals go to the container; its exit code is
// ours. Rooms are loaded when the words are known to be right, as the time to the first instruction counts.

import path from 'node:path'
import process from 'node:process'
import type { ContainerRequest } from '../../container/container.ts'
import { KauriError } from '../../core/errors.ts'
import type { ContainerExit } from '../../runtime/runtime.ts'
import type { CommandContext, CommandInput, CommandSpec } from '../command.ts'
import { openContainerImage, pullOption } from '../container-image.ts'
import { openTrees } from '../open-trees.ts'
import { readRunRequest, runOptions } from '../run-options.ts'
import { signalRelay } from '../signal-relay.ts'

export const command: CommandSpec = {
  name: 'run',
  summary: 'Run a command in a new container',
  details: [
    'Options, defaults and exit codes are those of docker run. Setuid programs gain no rights unless --security-opt no-new-privileges=false is given.',
    'An image that is not stored is pulled.',
    'Without --rm the container stays, stopped, until kauri rm removes it.',
  ],
  operands: 'IMAGE [COMMAND] [ARG...]',
  minOperands: 1,
  stopsAtOperand: true,
  containerExitCodes: true,
  options: [...runOptions, pullOption],
  async run(input) {
    try {
      return await runCommand(input)
    } catch (error) {
      const { asDiskFull } = await import('../../core/atomic-file.ts')
      throw asDiskFull(error, input.context.dataRoot)
    }
  },
}

async function runCommand({ options, positionals, context }: CommandInput): Promise<number> {
  const [imageName = '', ...words] = positionals
  const asked = await readRunRequest(options)
  requireRoot()
  if (asked.terminal && asked.interactive) requireTerminal()
  const image = await openContainerImage(imageName, options, context)
  const exit = await runHere({ ...asked, image, imageName, command: words }, context)
  if (exit.outOfMemory) context.emit({ kind: 'warning', message: outOfMemoryText(asked) })
  return exit.code
}

function requireRoot(): void {
  if (process.getuid?.() === 0) return
  throw new KauriError('NOT_ROOT', 'kauri run needs root', { hint: 'run it with sudo' })
}

function requireTerminal(): void {
  if (process.stdin.isTTY) return
  throw new KauriError('USAGE', 'the input device is not a terminal', {
    hint: 'leave -t out where input comes from a pipe or a file',
  })
}

function outOfMemoryText({ resources }: Pick<ContainerRequest, 'resources'>): string {
  const limit = resources.memory?.limit
  const of = limit === undefined ? 'the machine' : `its limit of ${limit} bytes (-m)`
  return `a process of the container was killed: no memory left within ${of}`
}

async function runHere(request: ContainerRequest, context: CommandContext): Promise<ContainerExit> {
  const { dataRoot, runRoot, emit } = context
  const [{ runContainer }, { sweepContainers }, { createBuiltinRuntime }, { sweepRuntime }] =
    await Promise.all([
      import('../../container/run-container.ts'),
      import('../../container/container-records.ts'),
      import('../../runtime/builtin-runtime.ts'),
      import('../../runtime/sweep-runtime.ts'),
    ])
  const root = path.join(dataRoot, 'containers')
  await sweepRuntime(runRoot)
  const snapshotter = await openTrees(context)
  sweepContainers(root)
  using signals = signalRelay(context, request.terminal)
  return await runContainer(request, {
    root,
    snapshotter,
    runtime: createBuiltinRuntime({ runRoot, cacheRoot: path.join(dataRoot, 'cache') }),
    signal: context.signal,
    emit,
    beforeStart: async () => {
      await context.endProgress()
      signals.listen()
    },
    onStart: container => signals.attach(container),
  })
}
