// RUN: the program, its mounts, network and rights; here-documents become an argument, a script, or go to the shell.

import { KauriError } from '../core/errors.ts'
import { type BuildMount, guestPath, type RunStep, type TransientMount } from '../plan/plan.ts'
import { parseHeredocWord } from './heredoc.ts'
import { refused } from './instruction-flags.ts'
import { goList, historyLine, runText } from './instruction-history.ts'
import type { InlineFile, RunInstruction } from './instructions.ts'
import { commandOf } from './lower-config.ts'
import { lowerMounts } from './lower-mounts.ts'
import type { StageCommand } from './stage-graph.ts'
import {
  type LowerGround,
  nextTitle,
  positionOf,
  type StageWork,
  upperCaseWord,
} from './stage-work.ts'
import { describeText } from './variable-scope.ts'

type RunCommand = StageCommand & { readonly instruction: RunInstruction }

/** @throws DESCRIPTION_INVALID with BuildKit's words, PERMISSION_DENIED for what the caller did not allow, UNSUPPORTED */
export function lowerRun(ground: LowerGround, work: StageWork, command: RunCommand): void {
  const { instruction } = command
  refuseDevices(instruction)
  const { words, script, summary } = heredocForm(instruction)
  const isJson = instruction.isJson || script !== undefined
  const program = commandOf(work.draft.plain, { words, isJson, heredocs: [] })
  const buildMounts = lowerMounts(ground, work, command)
  const hostname = ground.buildArgs.get('BUILDKIT_SANDBOX_HOSTNAME')
  const step: RunStep = {
    kind: 'run',
    title: runTitle(ground, work, { command, summary, buildMounts }),
    where: positionOf(ground, instruction),
    phase: 'instruction',
    command: program,
    environment: work.scope.items(),
    directory: guestPath(work.draft.plain.WorkingDir ?? '/'),
    user: work.draft.plain.User ?? '',
    ...(hostname === undefined || hostname === '' ? {} : { hostname }),
    network: networkOf(ground, instruction),
    mounts: script === undefined ? [] : [script],
    ...(buildMounts.length > 0 ? { buildMounts } : {}),
    security: securityOf(ground, instruction),
    showsEpoch: false,
  }
  const given = work.declared.map(
    ({ name, value }) => [name, work.scope.get(name) ?? value ?? ''] as const,
  )
  work.history.push({
    ...historyLine(`RUN ${runText(program, given)}`, true),
    step: work.steps.push(step) - 1,
  })
}

/** The host's devices are named by nobody here, so one that is required cannot be there. */
function refuseDevices({ devices }: RunInstruction): void {
  const missing = devices.find(({ required }) => required)
  if (missing !== undefined)
    throw new KauriError('UNSUPPORTED', `required device ${missing.name} is not available`, {
      hint: 'builds get no devices of the host: leave --device or its "required" out',
    })
}

interface HeredocForm {
  readonly words: readonly string[]
  /** A script that is run as a program of its own. */
  readonly script?: TransientMount
  /** What the title says of a text that is not on the instruction's line. */
  readonly summary?: string
}

const scriptDirectory = '/dev/pipes'

function heredocForm({ words, isJson, heredocs }: RunInstruction): HeredocForm {
  const [first] = heredocs
  const [line = ''] = words
  if (first === undefined) return { words }
  if (words.length !== 1 || isJson)
    throw refused(`parsing produced an invalid run command: ${goList(words)}`)
  if (parseHeredocWord(line) === undefined) return { words: [rebuiltText(line, heredocs)] }
  const text = first.chomp ? first.text.replace(/^\t+/gm, '') : first.text
  const summary = summaryOf(first.text)
  if (!text.startsWith('#!')) return { words: [text], summary }
  if (/[/\0]|^\.{0,2}$/.test(first.name))
    throw refused(`a script cannot be called ${JSON.stringify(first.name)}`)
  const target = guestPath(`${scriptDirectory}/${first.name}`)
  const script: TransientMount = { target, content: { kind: 'text', text, mode: 0o755 } }
  return { words: [target], script, summary }
}

/** The line with its here-documents behind it, for a shell that reads them itself. */
function rebuiltText(line: string, heredocs: readonly InlineFile[]): string {
  return line + heredocs.map(({ text, name }) => `\n${text}${name}`).join('')
}

function summaryOf(text: string): string {
  const [first = '', ...rest] = text.trim().replaceAll('\r\n', '\n').split('\n')
  return rest.length > 0 ? `${first}...` : first
}

function runTitle(
  ground: LowerGround,
  work: StageWork,
  run: {
    readonly command: RunCommand
    readonly summary: string | undefined
    readonly buildMounts: readonly BuildMount[]
  },
): string {
  const { original } = run.command.instruction
  const text = run.summary === undefined ? original : `${original} (${run.summary})`
  const masked = new Set(
    run.buildMounts.map(mount => (mount.kind === 'secret' ? (mount.variable ?? '') : '')),
  )
  const described = describeText(text, work.scope, { escape: ground.escape, asShell: true, masked })
  return nextTitle(ground, work, {
    text: upperCaseWord(described),
    isTrigger: run.command.isTrigger,
  })
}

function networkOf(ground: LowerGround, { network }: RunInstruction): RunStep['network'] {
  const { options } = ground
  if (network === 'default') return options.network
  if (network === 'host' && options.network !== 'host' && !options.allow.has('network.host'))
    throw notAllowed('network.host')
  return network
}

function securityOf(
  { options }: LowerGround,
  { security }: RunInstruction,
): NonNullable<RunStep['security']> {
  if (security === 'insecure' && !options.allow.has('security.insecure'))
    throw notAllowed('security.insecure')
  return security
}

function notAllowed(entitlement: string): KauriError {
  return new KauriError('PERMISSION_DENIED', `entitlement ${entitlement} is not allowed`, {
    hint: `if you trust this Dockerfile, allow it with --allow ${entitlement}`,
  })
}
