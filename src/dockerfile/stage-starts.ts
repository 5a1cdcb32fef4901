// FROM: names and platforms of all stages with the global arguments put in.

import { KauriError } from '../core/errors.ts'
import type { Platform } from '../oci/platform.ts'
import { globalArguments } from './automatic-arguments.ts'
import { type Expansion, expandWord } from './expand-word.ts'
import { refused } from './instruction-flags.ts'
import type { DockerfileStage, ParsedDockerfile } from './instructions.ts'
import { checkDefaultBase, checkFromArguments, checkFromPlatform } from './lower-checks.ts'
import { namedContextOf } from './named-contexts.ts'
import type { StageStart } from './stage-graph.ts'
import { parseStagePlatform } from './stage-platform.ts'
import { type LowerGround, positionOf, withPosition } from './stage-work.ts'
import { withSuggestion } from './suggestion.ts'
import type { VariableScope } from './variable-scope.ts'

/** @throws DESCRIPTION_INVALID with BuildKit's words, at the place of FROM */
export function readStageStarts(
  dockerfile: ParsedDockerfile,
  ground: LowerGround,
  automatic: VariableScope,
): StageStart[] {
  checkDefaults(dockerfile, ground, automatic)
  return dockerfile.stages.map(stage => {
    const where = positionOf(ground, stage)
    return withPosition(where, () => {
      const baseName = readBaseName(stage, ground)
      const platform = stage.platform === '' ? undefined : readPlatform(stage, ground)
      const replacement =
        stage.name === ''
          ? undefined
          : namedContextOf(ground.options, stage.name, platform ?? ground.options.platform)
      return { name: stage.name, baseName, platform, replacement, stage, where }
    })
  })
}

/** Base names must be sound with the defaults alone, too; what fails here fails again later. */
function checkDefaults(
  dockerfile: ParsedDockerfile,
  ground: LowerGround,
  automatic: VariableScope,
): void {
  const { linter } = ground.options
  try {
    const { scope } = globalArguments(automatic, dockerfile.globalArguments, {
      escape: dockerfile.escape,
      buildArgs: new Map(),
      at: (_instruction, run) => run(),
    })
    for (const stage of dockerfile.stages) {
      const { word } = expandWord(stage.baseName, { lookUp: scope.get, escape: dockerfile.escape })
      checkDefaultBase(linter, [stage.baseName, word], { ...stage, comments: [] })
    }
  } catch {
    // The same error comes with the place where it matters.
  }
}

function readBaseName(stage: DockerfileStage, ground: LowerGround): string {
  const expansion = expandFrom(stage.baseName, stage, ground)
  if (expansion.word === '') throw refused(`base name (${stage.baseName}) should not be blank`)
  return expansion.word
}

function expandFrom(text: string, stage: DockerfileStage, ground: LowerGround): Expansion {
  const { scope, declared } = ground.globals
  const expansion = expandWord(text, { lookUp: scope.get, escape: ground.escape })
  checkFromArguments(ground.options.linter, expansion, [...declared, ...scope.names()], stage)
  return expansion
}

function readPlatform(stage: DockerfileStage, ground: LowerGround): Platform {
  const expansion = expandFrom(stage.platform, stage, ground)
  const names = ground.globals.scope.names()
  const near = (message: string): string =>
    expansion.unmatched.reduce(
      (text, name) => (text === message ? withSuggestion(message, name, names) : text),
      message,
    )
  if (expansion.word === '')
    throw refused(near(`empty platform value from expression ${stage.platform}`))
  const platform = readPlatformWord(expansion.word, ground, reason =>
    refused(`failed to parse platform ${stage.platform}: ${near(reason)}`),
  )
  checkFromPlatform(
    ground.options.linter,
    { text: stage.platform, stageName: stage.name, platform },
    { expansion, target: ground.globals.scope.get('TARGETPLATFORM') },
    stage,
  )
  return platform
}

function readPlatformWord(
  word: string,
  { options }: LowerGround,
  refusal: (reason: string) => KauriError,
): Platform {
  try {
    return parseStagePlatform(word, options.buildPlatform)
  } catch (error) {
    throw error instanceof KauriError ? refusal(error.message) : error
  }
}
