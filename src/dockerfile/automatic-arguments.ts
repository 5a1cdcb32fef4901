// Arguments that exist before the first FROM: those about platforms that every Dockerfile has, and the ARG instructions
// that stand there (docs/reference.md, "Automatic platform ARGs in the global scope").

import { formatPlatform, type Platform } from '../oci/platform.ts'
import { expandWord } from './expand-word.ts'
import type { ArgInstruction } from './instructions.ts'
import { normalPlatform } from './stage-platform.ts'
import { createScope, type VariableScope } from './variable-scope.ts'

/** `BUILDPLATFORM`, `TARGETARCH` and their like; a build argument of the same name replaces a value. */
export function automaticArguments(
  build: Platform,
  target: Platform,
  given: { readonly buildArgs: ReadonlyMap<string, string>; readonly targetStage: string },
): VariableScope {
  const values: readonly (readonly [string, string])[] = [
    ...platformArguments('BUILD', build),
    ...platformArguments('TARGET', target),
    ['TARGETSTAGE', given.targetStage || 'default'],
  ]
  return createScope(values.map(([name, value]) => [name, given.buildArgs.get(name) ?? value]))
}

function platformArguments(
  prefix: string,
  chosen: Platform,
): readonly (readonly [string, string])[] {
  const platform = normalPlatform(chosen)
  return [
    [`${prefix}PLATFORM`, formatPlatform(platform)],
    [`${prefix}OS`, platform.os],
    [`${prefix}OSVERSION`, platform['os.version'] ?? ''],
    [`${prefix}ARCH`, platform.architecture],
    [`${prefix}VARIANT`, platform.variant ?? ''],
  ]
}

/** Arguments that are set before the first FROM, and the names of all that are declared there. */
export interface GlobalArguments {
  readonly scope: VariableScope
  readonly declared: ReadonlySet<string>
}

/**
 * Adds ARG instructions to a scope: a build argument wins over a default, which may use what stands before it.
 * @throws DESCRIPTION_INVALID
 */
export function globalArguments(
  start: VariableScope,
  instructions: readonly ArgInstruction[],
  given: {
    readonly escape: '\\' | '`'
    readonly buildArgs: ReadonlyMap<string, string>
    /** Runs what is about one instruction, so that errors say where. */
    readonly at: (instruction: ArgInstruction, run: () => string) => string
  },
): GlobalArguments {
  const scope = start.copy()
  const declared = new Set<string>()
  for (const instruction of instructions)
    for (const { name, value } of instruction.arguments) {
      declared.add(name)
      const known = given.buildArgs.get(name)
      if (known !== undefined) scope.set(name, known)
      else if (value !== undefined)
        scope.set(
          name,
          given.at(
            instruction,
            () => expandWord(value, { lookUp: scope.get, escape: given.escape }).word,
          ),
        )
    }
  return { scope, declared }
}
