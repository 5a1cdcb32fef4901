// SOURCE_DATE_EPOCH as a build argument or global ARG: seconds, or the name of what a time is taken from — `context`, a
// named context, or a stage that does nothing but fetch one thing (BuildKit's docs/build-repro.md).

import { KauriError, type SourcePosition } from '../core/errors.ts'
import { expandWord } from './expand-word.ts'
import { refused } from './instruction-flags.ts'
import type { AddInstruction, DockerfileStage, ParsedDockerfile } from './instructions.ts'
import { remoteSource } from './lower-copy.ts'
import type { ImageResolver, LowerOptions, TimedSource } from './lower-options.ts'
import { namedContextOf } from './named-contexts.ts'
import { positionOf, withPosition } from './stage-work.ts'
import type { VariableScope } from './variable-scope.ts'

const name = 'SOURCE_DATE_EPOCH'

/** What a build takes for its time, and its arguments with that time in them. */
export interface SourceEpoch {
  /** Seconds since 1970; undefined: nothing says so, or what was named has no time. */
  readonly seconds: number | undefined
  readonly buildArgs: ReadonlyMap<string, string>
}

/** Also puts the time into the global arguments. @throws DESCRIPTION_INVALID and what the resolver throws */
export async function findSourceEpoch(
  dockerfile: ParsedDockerfile,
  globals: VariableScope,
  options: LowerOptions,
  resolver: ImageResolver,
): Promise<SourceEpoch> {
  const text = options.buildArgs.get(name) ?? globals.get(name) ?? ''
  if (text === '') return { seconds: undefined, buildArgs: options.buildArgs }
  const seconds = /^[+-]?\d{1,15}$/.test(text)
    ? Number(text)
    : await timeOf(text, { dockerfile, globals, options, resolver })
  const buildArgs = new Map(options.buildArgs)
  if (seconds === undefined) {
    buildArgs.delete(name)
    globals.remove(name)
  } else {
    if (buildArgs.has(name)) buildArgs.set(name, String(seconds))
    if (globals.get(name) !== undefined) globals.set(name, String(seconds))
  }
  return { seconds, buildArgs }
}

interface EpochGround {
  readonly dockerfile: ParsedDockerfile
  readonly globals: VariableScope
  readonly options: LowerOptions
  readonly resolver: ImageResolver
}

async function timeOf(text: string, ground: EpochGround): Promise<number | undefined> {
  const { dockerfile, options } = ground
  const find = (source: TimedSource, where: SourcePosition): Promise<number | undefined> => {
    if (ground.resolver.findTime !== undefined) return ground.resolver.findTime(source, where)
    throw new KauriError('UNSUPPORTED', `SOURCE_DATE_EPOCH=${text} needs a look at its source`, {
      hint: 'write seconds since 1970 as a whole number',
    })
  }
  const start = { file: dockerfile.file, line: 1, column: 1 }
  if (text === 'context')
    return await find({ kind: 'context', context: options.mainContext }, start)
  const named = namedContextOf(options, text, options.buildPlatform)
  if (named !== undefined)
    return named.kind === 'directory'
      ? await find({ kind: 'context', context: named.context }, start)
      : undefined
  const stage = dockerfile.stages.find(one => one.name === text.toLowerCase())
  if (stage === undefined) throw refused(`invalid SOURCE_DATE_EPOCH: ${text}`)
  const where = positionOf(dockerfile, stage)
  return await find(
    withPosition(where, () => stageSource(stage, ground)),
    where,
  )
}

/** The one thing that a stage fetches. */
function stageSource(stage: DockerfileStage, ground: EpochGround): TimedSource {
  const scope = ground.globals.copy()
  scope.remove(name)
  const expand = (text: string): string =>
    expandWord(text, { lookUp: scope.get, escape: ground.dockerfile.escape }).word
  if (expand(stage.baseName) !== 'scratch') throw refused(`${name} stage must use FROM scratch`)
  let source: TimedSource | undefined
  for (const instruction of stage.instructions) {
    if (instruction.kind === 'arg')
      for (const argument of instruction.arguments) {
        const given = ground.options.buildArgs.get(argument.name)
        const value = given ?? (argument.value === undefined ? undefined : expand(argument.value))
        if (value !== undefined) scope.set(argument.name, value)
      }
    else if (instruction.kind === 'add') {
      if (source !== undefined) throw oneAddOnly()
      source = addedSource(instruction, expand)
    } else
      throw refused(
        `${name} stage does not meet source-only requirements: unsupported ${instruction.keyword} instruction`,
      )
  }
  if (source === undefined) throw oneAddOnly()
  return source
}

function oneAddOnly(): KauriError {
  return refused(`${name} stage must contain exactly one remote ADD`)
}

function addedSource(instruction: AddInstruction, expand: (text: string) => string): TimedSource {
  const [source = ''] = instruction.sources
  if (instruction.sources.length !== 1 || instruction.contents.length > 0)
    throw refused(`${name} stage must contain exactly one remote ADD source`)
  const remote = remoteSource(expand(source), instruction, expand(instruction.checksum))
  if (remote === undefined)
    throw refused(`${name} stage source must be a single HTTP(S) or Git ADD`)
  return remote
}
