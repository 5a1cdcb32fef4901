// `kauri run`: a container from an image. One that shall be gone when it ends runs as a part of this process, which is the
// quickest; any other one has a monitor of its own. Rooms are loaded when the words are known to be right, as the time to
// the first instruction counts.

import path from 'node:path'
import process from 'node:process'
import type { ContainerRequest } from '../../container/container.ts'
import { KauriError } from '../../core/errors.ts'
import type { ContainerExit, Runtime } from '../../runtime/runtime.ts'
import type { CommandContext, CommandInput, CommandSpec, ParsedOptions } from '../command.ts'
import { openContainerImage, pullOption } from '../container-image.ts'
import { publishedPorts } from '../network-options.ts'
import { openTrees } from '../open-trees.ts'
import { ownCommand } from '../own-command.ts'
import { cidfileOption, readRunRequest, runOptions, withVolumesFrom } from '../run-options.ts'
import { signalRelay } from '../signal-relay.ts'

export const command: CommandSpec = {
  name: 'run',
  summary: 'Run a command in a new container',
  details: [
    'Options, defaults and exit codes are those of docker run. Setuid programs gain no rights unless --security-opt no-new-privileges=false is given.',
    'An image that is not stored is pulled.',
    'Without --rm the container stays, stopped, until kauri rm removes it.',
    'With -d it runs on when this command ends; a small process of its own keeps its output.',
  ],
  operands: 'IMAGE [COMMAND] [ARG...]',
  minOperands: 1,
  stopsAtOperand: true,
  containerExitCodes: true,
  options: [
    ...runOptions,
    pullOption,
    cidfileOption,
    { long: 'attach', short: 'a', value: 'STREAM', repeat: true, summary: 'Attach only to these' },
    { long: 'detach', short: 'd', summary: 'Leave it running and print its id' },
    {
      long: 'runtime',
      value: 'NAME',
      summary: 'Run it by crun, runc, lxc, nspawn or an OCI runtime by its path',
    },
    { long: 'detach-keys', value: 'KEYS', summary: 'Keys that leave it, ctrl-p,ctrl-q by default' },
    {
      long: 'sig-proxy',
      value: 'BOOLEAN',
      summary: 'Pass signals on to the container, true by default',
    },
  ],
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
  if (asked.terminal && asked.interactive && !options.flag('detach')) requireTerminal()
  const image = await openContainerImage(imageName, options, context)
  const ports = publishedPorts(asked.ports, options, image.config.config ?? {})
  const mounts = await withVolumesFrom(asked.mounts, options, context)
  const request = { ...asked, ports, mounts, image, imageName, command: words }
  const driver = options.text('runtime') ?? 'builtin'
  if (outlasts(request, options)) {
    if (driver !== 'builtin') throw onlyForeground(driver)
    const { requireNoCidfile, runStored } = await import('../create-command.ts')
    requireNoCidfile(options)
    return await runStored(request, options, context)
  }
  const exit = await runHere(request, context, driver)
  if (exit.outOfMemory) context.emit({ kind: 'warning', message: outOfMemoryText(asked) })
  return exit.code
}

/** True for what only a monitor can do: stay, keep logs, check the health, be left by keys. */
function outlasts(request: ContainerRequest, options: ParsedOptions): boolean {
  const { image, healthcheck, removeAfter } = request
  const checksHealth = (healthcheck ?? image.config.config?.Healthcheck) !== undefined
  const isAsked = ['cidfile', 'detach-keys', 'sig-proxy'].some(
    name => options.text(name) !== undefined,
  )
  const attaches = options.texts('attach').length > 0
  return !removeAfter || options.flag('detach') || checksHealth || isAsked || attaches
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

/** Logs, restarts and health are the work of kauri's own monitor. */
function onlyForeground(driver: string): KauriError {
  return new KauriError('USAGE', `the runtime ${driver} runs containers in the foreground alone`, {
    hint: 'add --rm and leave out -d, health checks and what else a container that stays has',
  })
}

async function runtimeOf(driver: string, builtin: Runtime, runRoot: string): Promise<Runtime> {
  if (driver === 'builtin') return builtin
  const [{ findDriver }, { driverRuntime }] = await Promise.all([
    import('../../oci-runtime/drivers/find-driver.ts'),
    import('../../oci-runtime/drivers/driver-runtime.ts'),
  ])
  return driverRuntime(await findDriver(driver), { runRoot })
}

async function runHere(
  request: ContainerRequest,
  context: CommandContext,
  driver: string,
): Promise<ContainerExit> {
  const { dataRoot, runRoot, emit } = context
  const [
    { runContainer },
    { sweepContainers },
    { endsIn },
    { createBuiltinRuntime },
    { sweepRuntime },
  ] = await Promise.all([
    import('../../container/run-container.ts'),
    import('../../container/container-records.ts'),
    import('../../container/lost-end.ts'),
    import('../../runtime/builtin-runtime.ts'),
    import('../../runtime/sweep-runtime.ts'),
  ])
  const root = path.join(dataRoot, 'containers')
  await sweepRuntime(runRoot)
  const snapshotter = await openTrees(context)
  const runtime = createBuiltinRuntime({ runRoot, cacheRoot: path.join(dataRoot, 'cache') })
  const swept = sweepContainers(root, endsIn(runtime))
  if (swept.length > 0) {
    const { dropSwept } = await import('../../container/remove-container.ts')
    await dropSwept(swept, { root, runtime, snapshotter })
  }
  const chosen = await runtimeOf(driver, runtime, runRoot)
  using signals = signalRelay(context, request.terminal)
  return await runContainer(request, {
    root,
    snapshotter,
    runtime: chosen,
    findPid: id => runtime.state(id)?.pid,
    command: ownCommand(context),
    signal: context.signal,
    emit,
    beforeStart: async () => {
      await context.endProgress()
      signals.listen()
    },
    onStart: container => signals.attach(container),
  })
}
