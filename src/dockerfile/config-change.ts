// Instructions that change how a container starts and nothing in its files: what `import -c` and `commit -c` take.
// Refusals are worded as docker words them, because scripts look for that.

import path from 'node:path'
import { KauriError } from '../core/errors.ts'
import type { RunConfig } from '../oci/image-config.ts'
import { definedMembers } from '../oci/json-shape.ts'
import { expandWord } from './expand-word.ts'
import type { CommandLine, Instruction, NamedValue } from './instructions.ts'
import { parseDockerfile } from './parse-dockerfile.ts'
import { parseInstruction } from './parse-instruction.ts'
import { parsePortSpec } from './port-spec.ts'
import { isStopSignal } from './stop-signal.ts'

const changeKinds = [
  'cmd',
  'entrypoint',
  'env',
  'expose',
  'healthcheck',
  'label',
  'onbuild',
  'stopsignal',
  'user',
  'volume',
  'workdir',
] as const

type ChangeInstruction = Extract<Instruction, { kind: (typeof changeKinds)[number] }>

/** Named in positions, which no message of USAGE shows. */
const changeFile = 'changes'

/**
 * Applies lines as they would stand in a Dockerfile, in order; each sees the environment that those before it set.
 * @throws USAGE for any other instruction, and for arguments that an instruction does not take
 */
export function changeConfig(start: RunConfig, lines: readonly string[]): RunConfig {
  if (lines.length === 0) return start
  try {
    let config = start
    let hasCommand = false
    for (const instruction of parseChanges(lines.join('\n'))) {
      config = applyChange(instruction, config, hasCommand)
      hasCommand ||= instruction.kind === 'cmd'
    }
    return config
  } catch (error) {
    if (!(error instanceof KauriError) || error.code !== 'DESCRIPTION_INVALID') throw error
    throw new KauriError('USAGE', error.message, { hint: error.hint, cause: error })
  }
}

function parseChanges(text: string): ChangeInstruction[] {
  return parseDockerfile(text, changeFile).nodes.map(node => {
    const isKnown = changeKinds.some(kind => kind === node.keyword.toLowerCase())
    const instruction = isKnown ? parseInstruction(node, changeFile) : undefined
    if (instruction !== undefined && isChange(instruction)) return instruction
    throw new KauriError('USAGE', `${node.keyword} is not a valid change command`, {
      hint: `take one of ${changeKinds.join(', ').toUpperCase()}`,
    })
  })
}

function isChange(instruction: { readonly kind: string }): instruction is ChangeInstruction {
  return changeKinds.some(kind => kind === instruction.kind)
}

/** `hasCommand`: a CMD came before, so that ENTRYPOINT leaves it alone. */
function applyChange(change: ChangeInstruction, config: RunConfig, hasCommand: boolean): RunConfig {
  switch (change.kind) {
    case 'cmd':
      return { ...config, Cmd: commandOf(change, config) }
    case 'entrypoint':
      return withEntrypoint(commandOf(change, config), config, hasCommand)
    case 'env':
      return { ...config, Env: setVariables(config, expandedPairs('ENV', change.pairs, config)) }
    case 'label': {
      const labels = Object.fromEntries(expandedPairs('LABEL', change.pairs, config))
      return { ...config, Labels: { ...config.Labels, ...labels } }
    }
    case 'expose':
      return withPorts(change.ports, config)
    case 'volume': {
      const paths = change.paths.map(volume => expanded('VOLUME', volume, config))
      return { ...config, Volumes: { ...config.Volumes, ...emptyMembers(paths) } }
    }
    case 'healthcheck':
      return { ...config, Healthcheck: change.healthcheck }
    case 'onbuild':
      return { ...config, OnBuild: [...(config.OnBuild ?? []), change.expression] }
    case 'stopsignal':
      return { ...config, StopSignal: signalOf(expanded('STOPSIGNAL', change.signal, config)) }
    case 'user':
      return { ...config, User: expanded('USER', change.user, config) }
    case 'workdir': {
      const directory = expanded('WORKDIR', change.path, config)
      return { ...config, WorkingDir: path.posix.resolve('/', config.WorkingDir ?? '', directory) }
    }
    default:
      return change satisfies never
  }
}

function commandOf({ words, isJson }: CommandLine, { Shell }: RunConfig): readonly string[] {
  if (isJson) return words
  if (words.length === 0) throw new KauriError('USAGE', 'a command requires at least one argument')
  return [...(Shell ?? ['/bin/sh', '-c']), ...words]
}

function withEntrypoint(
  command: readonly string[],
  { Cmd, ...rest }: RunConfig,
  hasCommand: boolean,
): RunConfig {
  return { ...rest, ...(hasCommand ? definedMembers({ Cmd }) : {}), Entrypoint: command }
}

function withPorts(words: readonly string[], config: RunConfig): RunConfig {
  const ports = words.flatMap(word => expandWord(word, expansionOf(config)).words)
  const exposed = ports.flatMap(port => parsePortSpec(port).ports)
  return { ...config, ExposedPorts: { ...config.ExposedPorts, ...emptyMembers(exposed) } }
}

function expansionOf({ Env = [] }: RunConfig): Parameters<typeof expandWord>[1] {
  return {
    lookUp: name => Env.findLast(item => item.startsWith(`${name}=`))?.slice(name.length + 1),
    escape: '\\',
  }
}

function expanded(instruction: string, text: string, config: RunConfig): string {
  const { word } = expandWord(text, expansionOf(config))
  if (word === '') throw new KauriError('USAGE', `${instruction} requires exactly one argument`)
  return word
}

function emptyMembers(names: readonly string[]): Record<string, Record<string, never>> {
  return Object.fromEntries(names.map(name => [name, {}]))
}

/** All values of one instruction see the environment before it. */
function expandedPairs(
  instruction: string,
  pairs: readonly NamedValue[],
  config: RunConfig,
): [string, string][] {
  const expand = (part: string): string => expandWord(part, expansionOf(config)).word
  return pairs.map(({ name, value }) => {
    const key = expand(name)
    if (key === '') throw new KauriError('USAGE', `${instruction} names can not be blank`)
    return [key, expand(value)]
  })
}

/** A variable keeps its place when it gets another value. */
function setVariables({ Env = [] }: RunConfig, pairs: readonly [string, string][]): string[] {
  const result = [...Env]
  for (const [name, value] of pairs) {
    const at = result.findIndex(item => item.startsWith(`${name}=`))
    if (at < 0) result.push(`${name}=${value}`)
    else result[at] = `${name}=${value}`
  }
  return result
}

function signalOf(text: string): string {
  if (!isStopSignal(text)) throw new KauriError('USAGE', `invalid signal: ${text}`)
  return text
}
