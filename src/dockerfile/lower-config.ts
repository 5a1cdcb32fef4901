// Instructions that change how a container starts, and nothing in its files.

import { checkDetails } from './check-rules.ts'
import type { PlainConfig } from './config-draft.ts'
import { expandWord } from './expand-word.ts'
import { refused } from './instruction-flags.ts'
import { goList, goQuotedList, healthcheckText, historyLine } from './instruction-history.ts'
import type {
  ArgInstruction,
  CmdInstruction,
  CommandLine,
  EntrypointInstruction,
  EnvInstruction,
  ExposeInstruction,
  HealthcheckInstruction,
  Instruction,
  InstructionCommon,
  LabelInstruction,
} from './instructions.ts'
import { builderOnlyNames, checkSecretName } from './lower-checks.ts'
import { parsePortSpec } from './port-spec.ts'
import { createExpander, type LowerGround, type StageWork } from './stage-work.ts'
import { isStopSignal } from './stop-signal.ts'

/** Every instruction that makes no files. */
export type ConfigInstruction = Exclude<
  Instruction,
  { readonly kind: 'run' | 'copy' | 'add' | 'workdir' }
>

/** @throws DESCRIPTION_INVALID with BuildKit's words */
export function lowerConfig(
  ground: LowerGround,
  work: StageWork,
  instruction: ConfigInstruction,
): void {
  const { kind } = instruction
  switch (kind) {
    case 'arg':
      return lowerArg(ground, work, instruction)
    case 'cmd':
      return lowerCmd(ground, work, instruction)
    case 'entrypoint':
      return lowerEntrypoint(ground, work, instruction)
    case 'env':
      return lowerEnv(ground, work, instruction)
    case 'expose':
      return lowerExpose(ground, work, instruction)
    case 'healthcheck':
      return lowerHealthcheck(ground, work, instruction)
    case 'label':
      return lowerLabel(ground, work, instruction)
    case 'maintainer':
      work.author = instruction.name
      return note(work, `MAINTAINER ${instruction.name}`)
    case 'onbuild':
      return change(work, {
        OnBuild: [...(work.draft.plain.OnBuild ?? []), instruction.expression],
      })
    case 'shell':
      change(work, { Shell: instruction.shell })
      return note(work, `SHELL ${goList(instruction.shell)}`)
    case 'stopsignal':
    case 'user':
    case 'volume':
      return lowerWord(ground, work, instruction)
    default:
      return instruction satisfies never
  }
}

function note(work: StageWork, text: string): void {
  work.history.push(historyLine(text, false))
}

function change(work: StageWork, members: PlainConfig): void {
  work.draft.plain = { ...work.draft.plain, ...members }
}

/** A command as a program's words; the shell's are those of the last SHELL. */
export function commandOf(config: PlainConfig, { words, isJson }: CommandLine): readonly string[] {
  if (isJson) return words
  const shell = config.Shell === undefined || config.Shell.length === 0 ? undefined : config.Shell
  return [...(shell ?? ['/bin/sh', '-c']), words.join(' ')]
}

function lowerCmd(ground: LowerGround, work: StageWork, instruction: CmdInstruction): void {
  checkCommand(ground, work, instruction)
  const command = commandOf(work.draft.plain, instruction)
  const { Cmd: _Cmd, ...rest } = work.draft.plain
  work.draft.plain = { ...rest, ...(command.length > 0 ? { Cmd: command } : {}), ArgsEscaped: true }
  note(work, `CMD ${goQuotedList(command)}`)
}

/** A command of the base does not fit another entry point: only this stage's own stays. */
function lowerEntrypoint(
  ground: LowerGround,
  work: StageWork,
  instruction: EntrypointInstruction,
): void {
  checkCommand(ground, work, instruction)
  const command = commandOf(work.draft.plain, instruction)
  const { Entrypoint: _Entrypoint, Cmd, ...rest } = work.draft.plain
  work.draft.plain = {
    ...rest,
    ...(Cmd !== undefined && work.last.cmd !== undefined ? { Cmd } : {}),
    ...(command.length > 0 ? { Entrypoint: command } : {}),
  }
  note(work, `ENTRYPOINT ${goQuotedList(command)}`)
}

function checkCommand(
  ground: LowerGround,
  work: StageWork,
  instruction: CmdInstruction | EntrypointInstruction,
): void {
  checkOnlyOnce(ground, work, instruction)
  if (instruction.isJson || (work.draft.plain.Shell ?? []).length > 0) return
  const detail = checkDetails.jsonArgsRecommended(instruction.keyword)
  ground.options.linter.report('JSONArgsRecommended', detail, instruction)
}

/** Reports the one before, because that is what has no effect. */
function checkOnlyOnce(
  ground: LowerGround,
  work: StageWork,
  instruction: InstructionCommon & { readonly kind: Instruction['kind'] },
): void {
  const before = work.last[instruction.kind]
  if (before !== undefined) {
    const detail = checkDetails.multipleInstructionsDisallowed(instruction.keyword)
    const { startLine, endLine } = before
    const { comments } = instruction
    ground.options.linter.report('MultipleInstructionsDisallowed', detail, {
      startLine,
      endLine,
      comments,
    })
  }
  work.last[instruction.kind] = instruction
}

function lowerHealthcheck(
  ground: LowerGround,
  work: StageWork,
  instruction: HealthcheckInstruction,
): void {
  checkOnlyOnce(ground, work, instruction)
  change(work, { Healthcheck: instruction.healthcheck })
  note(work, `HEALTHCHECK ${healthcheckText(instruction.healthcheck)}`)
}

interface ExpandedPair {
  readonly name: string
  readonly value: string
}

/** All pairs see what was set before the instruction. */
function expandPairs(
  ground: LowerGround,
  work: StageWork,
  instruction: EnvInstruction | LabelInstruction,
): readonly ExpandedPair[] {
  const expand = createExpander(ground, work, instruction)
  const pairs = instruction.pairs.map(pair => ({
    name: expand(pair.name).word,
    value: expand(pair.value).word,
    isLegacy: pair.isLegacy,
  }))
  for (const { isLegacy } of pairs)
    if (isLegacy)
      ground.options.linter.report(
        'LegacyKeyValueFormat',
        checkDetails.legacyKeyValueFormat(instruction.keyword),
        instruction,
      )
  return pairs
}

function pairsText(pairs: readonly ExpandedPair[]): string {
  return pairs.map(({ name, value }) => `${name}=${value}`).join(' ')
}

function lowerEnv(ground: LowerGround, work: StageWork, instruction: EnvInstruction): void {
  const pairs = expandPairs(ground, work, instruction)
  for (const { name, value } of pairs) {
    checkSecretName(ground.options.linter, ['ENV', name], instruction)
    work.scope.set(name, value)
    work.draft.variables.set(name, `${name}=${value}`)
  }
  note(work, `ENV ${pairsText(pairs)}`)
}

function lowerLabel(ground: LowerGround, work: StageWork, instruction: LabelInstruction): void {
  const pairs = expandPairs(ground, work, instruction)
  for (const { name, value } of pairs) work.draft.labels.set(name, value)
  note(work, `LABEL ${pairsText(pairs)}`)
}

/** All ports of all protocols; naming more is no use to anybody. */
const maxPorts = 3 * 65_536

function lowerExpose(ground: LowerGround, work: StageWork, instruction: ExposeInstruction): void {
  const { linter } = ground.options
  // The one instruction whose names may be unset without a word.
  const expansion = { lookUp: work.scope.get, escape: ground.escape }
  const ports: string[] = []
  for (const text of instruction.ports.flatMap(port => expandWord(port, expansion).words)) {
    const exposed = parsePortSpec(text)
    if (exposed.hasProtocolCasing)
      linter.report('ExposeProtoCasing', checkDetails.exposeProtoCasing(text), instruction)
    if (exposed.hasHostPart)
      linter.report('ExposeInvalidFormat', checkDetails.exposeInvalidFormat(text), instruction)
    if (ports.length + exposed.ports.length > maxPorts) throw refused('EXPOSE names too many ports')
    for (const port of exposed.ports) {
      ports.push(port)
      work.draft.ports.add(port)
    }
  }
  note(work, `EXPOSE ${goList(ports)}`)
}

function lowerWord(
  ground: LowerGround,
  work: StageWork,
  instruction: Extract<Instruction, { kind: 'stopsignal' | 'user' | 'volume' }>,
): void {
  const expand = createExpander(ground, work, instruction)
  if (instruction.kind === 'user') {
    const { word } = expand(instruction.user)
    change(work, { User: word })
    return note(work, `USER ${word}`)
  }
  if (instruction.kind === 'stopsignal') {
    const { word } = expand(instruction.signal)
    if (!isStopSignal(word)) throw refused(`invalid signal: ${word}`)
    change(work, { StopSignal: word })
    return note(work, `STOPSIGNAL ${word}`)
  }
  const paths = instruction.paths.map(path => expand(path).word)
  if (paths.includes('')) throw refused('VOLUME specified can not be an empty string')
  for (const path of paths) work.draft.volumes.add(path)
  note(work, `VOLUME ${goList(paths)}`)
}

/** A build argument wins over a default, a default over what stands before the first FROM. */
function lowerArg(ground: LowerGround, work: StageWork, instruction: ArgInstruction): void {
  const words: string[] = []
  for (const argument of instruction.arguments) {
    const { name } = argument
    checkSecretName(ground.options.linter, ['ARG', name], instruction)
    const value = argumentValue(ground, work, { instruction, argument })
    if (value !== undefined && !builderOnlyNames.has(name)) work.scope.set(name, value)
    work.declared.push({ name, value })
    words.push(value === undefined ? name : `${name}=${value}`)
  }
  note(work, `ARG ${words.join(' ')}`)
}

function argumentValue(
  ground: LowerGround,
  work: StageWork,
  {
    instruction,
    argument,
  }: {
    readonly instruction: ArgInstruction
    readonly argument: ArgInstruction['arguments'][number]
  },
): string | undefined {
  const given = ground.buildArgs.get(argument.name)
  if (given !== undefined) return given
  if (argument.value === undefined) return ground.globals.scope.get(argument.name)
  return createExpander(ground, work, instruction)(argument.value).word
}
