// What all commands of the OCI runtime share: where its state is, the log that the engine names, and the engine's words for
// failures. Warnings go to the log; without one to standard error, but never to that of `create` and `run`, which is the
// container's.

import { closeSync, openSync } from 'node:fs'
import path from 'node:path'
import { KauriError } from '../core/errors.ts'
import type { LogFormat } from '../oci-runtime/engine-words.ts'
import type { OciHost } from '../oci-runtime/oci-host.ts'
import type {
  CommandContext,
  CommandInput,
  CommandSpec,
  OptionSpec,
  ParsedOptions,
} from './command.ts'

/** Before or after the command's word, as runc and crun take them. */
export const engineOptions: readonly OptionSpec[] = [
  { long: 'root', value: 'DIR', summary: 'Where the state of containers is' },
  { long: 'log', value: 'FILE', summary: 'Append failures and warnings to a file' },
  {
    long: 'log-format',
    value: 'FORMAT',
    choices: ['text', 'json'],
    summary: 'Write the lines of the log as text or JSON',
  },
  { long: 'systemd-cgroup', summary: 'Let systemd make the cgroups' },
  {
    long: 'cgroup-manager',
    value: 'MANAGER',
    choices: ['cgroupfs', 'systemd'],
    summary: 'Who makes the cgroups',
  },
]

/** What a command of the OCI runtime gets beside its words. */
export interface OciInput extends CommandInput {
  readonly host: OciHost
}

export interface OciCommandSpec extends Omit<CommandSpec, 'run'> {
  /** Standard error is the container's. */
  readonly lendsStreams?: boolean
  run(input: OciInput): Promise<number>
}

/** A command with the options of all, whose failures are told in the engine's words. */
export function ociCommand(spec: OciCommandSpec): CommandSpec {
  return {
    ...spec,
    options: [...spec.options, ...engineOptions],
    async run(input) {
      try {
        return await spec.run({ ...input, host: await openHost(input, spec.lendsStreams === true) })
      } catch (error) {
        const { inEngineWords } = await import('../oci-runtime/engine-words.ts')
        const told = inEngineWords(error)
        const message = told instanceof Error ? told.message : String(told)
        await log(input.options, { level: 'error', message }).catch(() => {})
        throw told
      }
    },
  }
}

async function openHost(
  { options, context }: CommandInput,
  lendsStreams: boolean,
): Promise<OciHost> {
  refuseSystemd(options)
  checkLog(options)
  const { createBuiltinRuntime } = await import('../runtime/builtin-runtime.ts')
  const runRoot = path.resolve(options.text('root') ?? path.join(context.runRoot, 'oci'))
  return {
    runtime: createBuiltinRuntime({ runRoot, cacheRoot: path.join(context.dataRoot, 'cache') }),
    emit: event => {
      if (event.kind === 'warning')
        tell(event.message, { options, context, isSilent: lendsStreams })
    },
    warn: message => tell(message, { options, context, isSilent: false }),
    signal: context.signal,
  }
}

/** A log that cannot be written would hide why something failed. @throws USAGE */
function checkLog(options: ParsedOptions): void {
  const file = options.text('log')
  if (file === undefined) return
  try {
    closeSync(openSync(file, 'a', 0o644))
  } catch (error) {
    throw new KauriError('USAGE', `the log ${file} cannot be written`, { cause: error })
  }
}

/** Cgroups that systemd does not know of would be taken for its own, so nothing is made in their place. */
function refuseSystemd(options: ParsedOptions): void {
  const isAsked = options.flag('systemd-cgroup') || options.text('cgroup-manager') === 'systemd'
  if (!isAsked) return
  throw new KauriError('UNSUPPORTED', 'cgroups made by systemd are not supported', {
    hint: 'set the engine to cgroupfs: podman --cgroup-manager cgroupfs, dockerd --exec-opt native.cgroupdriver=cgroupfs',
  })
}

interface Telling {
  readonly options: ParsedOptions
  readonly context: CommandContext
  /** Nothing but the log may be written to. */
  readonly isSilent: boolean
}

function tell(message: string, { options, context, isSilent }: Telling): void {
  if (options.text('log') !== undefined) void log(options, { level: 'warning', message })
  else if (!isSilent) context.emit({ kind: 'warning', message })
}

interface LogLine {
  readonly level: 'error' | 'warning'
  readonly message: string
}

async function log(options: ParsedOptions, line: LogLine): Promise<void> {
  const file = options.text('log')
  if (file === undefined) return
  const format: LogFormat = options.text('log-format') === 'json' ? 'json' : 'text'
  const { appendLog } = await import('../oci-runtime/engine-words.ts')
  appendLog(file, format, line)
}
