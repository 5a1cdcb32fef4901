// The program: finds the command, gives it its context, shows its events, turns failures into messages and statuses.

import { KauriError } from '../core/errors.ts'
import type { CommandContext, CommandSpec } from './command.ts'
import { type Invocation, readCommandLine } from './command-line.ts'
import { progressKind, stateDirectories } from './global-options.ts'
import { type Interrupts, watchInterrupts } from './interrupts.ts'
import { printable } from './printable.ts'
import { type ProgramHost, processHost } from './program-host.ts'
import { openProgress } from './progress.ts'
import { type CommandGroup, commandGroups, containerAliases, internalCommands } from './registry.ts'

const failed = 1
const containerFailure = 125

/** Runs a command line as this process, and exits. */
export async function runAsProcess(args: readonly string[]): Promise<never> {
  const host = processHost()
  const reportAndExit = async (error: unknown): Promise<void> => {
    await reportFailure(error, args.includes('--debug'), host)
    process.exit(failed)
  }
  process.on('uncaughtException', error => void reportAndExit(error))
  process.exit(await runProgram(args, host, [...commandGroups, containerAliases, internalCommands]))
}

/** Runs a command line; the result is the exit status. */
export async function runProgram(
  args: readonly string[],
  host: ProgramHost,
  groups: readonly CommandGroup[],
): Promise<number> {
  const invocation = await readCommandLine(args, groups)
  if ('error' in invocation) {
    await reportFailure(invocation.error, args.includes('--debug'), host)
    return statusOfFailure(invocation.error, invocation.command)
  }
  switch (invocation.kind) {
    case 'run':
      return await runCommand(invocation, host)
    case 'help':
      host.writeOut((await import('./help.ts')).commandHelp(invocation.command))
      return 0
    case 'version':
      host.writeOut(`kauri ${await (await import('./commands/version.ts')).kauriVersion()}\n`)
      return 0
    case 'overview': {
      const { loadGroups, overview } = await import('./help.ts')
      const text = overview(
        await loadGroups(groups.filter(({ isHidden }) => isHidden !== true)),
        invocation.words,
      )
      if (invocation.asked) host.writeOut(text)
      else host.writeErr(text)
      return invocation.asked ? 0 : 2
    }
    default:
      return invocation satisfies never
  }
}

/** A name that means nothing is told of by every command, also by those that keep no trees. */
async function checkSnapshotter({ snapshotter }: CommandContext): Promise<void> {
  if (snapshotter === undefined) return
  const { parseSnapshotterChoice } = await import('../rootfs/snapshotter-choice.ts')
  parseSnapshotterChoice(snapshotter)
}

async function runCommand(
  { command, options, positionals }: Extract<Invocation, { kind: 'run' }>,
  host: ProgramHost,
): Promise<number> {
  using interrupts = watchInterrupts(host)
  const progress = openProgress(progressKind(options), host, command.progressLines)
  const results: string[] = []
  const write = (line: string): void => {
    // Whatever of an image or a Dockerfile is in it.
    const text = `${printable(line)}\n`
    // A live list owns the terminal, so results wait until it is finished.
    if (progress.isLive()) results.push(text)
    else host.writeOut(text)
  }
  const endProgress = async (): Promise<void> => {
    await progress.end()
    for (const text of results.splice(0)) host.writeOut(text)
  }
  const json = options.flag('json')
  const context: CommandContext = {
    ...stateDirectories(options, host.environment, host.userId),
    snapshotter: options.text('snapshotter'),
    json,
    quiet: options.flag('quiet'),
    emit: progress.emit,
    signal: interrupts.signal,
    print: line => {
      if (!json) write(line)
    },
    printJson: value => {
      if (json) write(JSON.stringify(value, undefined, 2))
    },
    endProgress,
    takeSignals: handler => interrupts.take(handler),
  }
  try {
    await checkSnapshotter(context)
    const status = await command.run({ options, positionals, context })
    await endProgress()
    return status
  } catch (error) {
    await endProgress()
    return await failedCommand(error, { command, interrupts, debug: options.flag('debug'), host })
  }
}

interface FailedCommand {
  readonly command: CommandSpec
  readonly interrupts: Interrupts
  readonly debug: boolean
  readonly host: ProgramHost
}

async function failedCommand(
  error: unknown,
  { command, interrupts, debug, host }: FailedCommand,
): Promise<number> {
  const interruptStatus = interrupts.status()
  if (interruptStatus === undefined) {
    await reportFailure(error, debug, host)
    return statusOfFailure(error, command)
  }
  await reportFailure(asInterrupted(error, interrupts.signal.reason), debug, host)
  return interruptStatus
}

/** What fails after an interrupt fails because of it; the reason names the signal, and anything else is told below it. */
function asInterrupted(error: unknown, reason: unknown): unknown {
  const isAbort =
    error === reason ||
    (error instanceof Error && error.name === 'AbortError') ||
    (error instanceof KauriError && error.code === 'CANCELLED')
  if (isAbort || !(reason instanceof KauriError)) return reason
  return new KauriError('CANCELLED', reason.message, { cause: error })
}

function statusOfFailure(error: unknown, command: CommandSpec | undefined): number {
  const status = error instanceof KauriError ? error.exitStatus : failed
  // 126 and 127 speak of the container's command; everything of kauri's own is 125 where codes are the container's.
  return command?.containerExitCodes && status < containerFailure ? containerFailure : status
}

async function reportFailure(error: unknown, debug: boolean, host: ProgramHost): Promise<void> {
  const { describeError } = await import('./report-error.ts')
  host.writeErr(describeError(error, debug))
}
