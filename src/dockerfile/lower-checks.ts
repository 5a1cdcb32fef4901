// Build checks that need the variables of a stage, or what its context leaves out.

import { formatPlatform, type Platform } from '../oci/platform.ts'
import { parseReference } from '../oci/reference.ts'
import { cleanPath } from '../plan/ignore-pattern.ts'
import { checkDetails } from './check-rules.ts'
import type { Expansion } from './expand-word.ts'
import { compileIgnoreRules } from './ignore-file.ts'
import type { CheckPlace, Linter } from './linter.ts'
import { normalPlatform } from './stage-platform.ts'
import { suggestWord } from './suggestion.ts'
import type { VariableScope } from './variable-scope.ts'

const secretWords = 'apikey|auth|credentials?|key|password|pword|passwd|secret|token'
const secretForm = new RegExp(`(?:_|^)(?:${secretWords})(?:_|$)`, 'i')
const harmlessForm = /(?:_|^)(?:public|file|version)(?:_|$)/i

/** Reports a variable whose name says that its value is for nobody to see. */
export function checkSecretName(
  linter: Linter,
  [instruction, name]: readonly ['ARG' | 'ENV', string],
  place: CheckPlace,
): void {
  if (secretForm.test(name) && !harmlessForm.test(name))
    linter.report(
      'SecretsUsedInArgOrEnv',
      checkDetails.secretsUsedInArgOrEnv(instruction, name),
      place,
    )
}

/** Variables of BuildKit's own that are no part of any environment. */
export const builderOnlyNames: ReadonlySet<string> = new Set([
  'BUILDKIT_SBOM_SCAN_CONTEXT',
  'BUILDKIT_SBOM_SCAN_STAGE',
])

/** Among more variables nobody wrote one wrong by hand, and looking for it would take its time. */
const maxNames = 500

/** Reports names that nothing has set in a stage; `declared` are those of ARG without a value. */
export function checkUndefined(
  linter: Linter,
  { unmatched }: Pick<Expansion, 'unmatched'>,
  known: { readonly scope: VariableScope; readonly declared: ReadonlySet<string> },
  place: CheckPlace,
): void {
  if (unmatched.length === 0) return
  const names = known.scope.names()
  for (const name of unmatched) {
    if (known.declared.has(name) || builderOnlyNames.has(name)) continue
    const suggestion = names.length > maxNames ? undefined : suggestWord(name, names)
    linter.report('UndefinedVar', checkDetails.undefinedVar(name, suggestion), place)
  }
}

/** Reports names in FROM that no ARG before the first FROM declares. */
export function checkFromArguments(
  linter: Linter,
  { unmatched }: Pick<Expansion, 'unmatched'>,
  known: Iterable<string>,
  place: CheckPlace,
): void {
  const names = new Set(known)
  for (const name of unmatched)
    if (!names.has(name))
      linter.report(
        'UndefinedArgInFrom',
        checkDetails.undefinedArgInFrom(name, suggestWord(name, names)),
        place,
      )
}

/** Reports a platform that is what would be taken anyway, or that could only ever be one. */
export function checkFromPlatform(
  linter: Linter,
  written: { readonly text: string; readonly stageName: string; readonly platform: Platform },
  found: { readonly expansion: Expansion; readonly target: string | undefined },
  place: CheckPlace,
): void {
  const { matched, unmatched, word } = found.expansion
  if (matched.length === 0 && unmatched.length === 0) {
    const { os, architecture } = written.platform
    if (!written.stageName.includes(os) && !written.stageName.includes(architecture))
      linter.report(
        'FromPlatformFlagConstDisallowed',
        checkDetails.fromPlatformFlagConstDisallowed(word),
        place,
      )
  } else if (matched.join() === 'TARGETPLATFORM' && unmatched.length === 0 && word === found.target)
    linter.report(
      'RedundantTargetPlatform',
      checkDetails.redundantTargetPlatform(written.text),
      place,
    )
}

/** Reports a base image name that the defaults of arguments alone leave empty or wrong. */
export function checkDefaultBase(
  linter: Linter,
  [written, expanded]: readonly [string, string],
  place: CheckPlace,
): void {
  if (!isImageName(expanded))
    linter.report('InvalidDefaultArgInFrom', checkDetails.invalidDefaultArgInFrom(written), place)
}

/** True for anything that could name an image. */
export function isImageName(text: string): boolean {
  try {
    parseReference(text)
    return true
  } catch {
    return false
  }
}

/** Reports a base image for another platform than the one asked for. */
export function checkBasePlatform(
  linter: Linter,
  image: string,
  [expected, actual]: readonly [Platform, Platform],
  place: CheckPlace,
): void {
  if (expected.os === actual.os && expected.architecture === actual.architecture) return
  const names = [expected, actual].map(one => formatPlatform(normalPlatform(one)))
  linter.report(
    'InvalidBaseImagePlatform',
    checkDetails.invalidBaseImagePlatform(image, names[0] ?? '', names[1] ?? ''),
    place,
  )
}

/** What decides whether a source is left out of the context; undefined where that cannot be told from a name. */
export type IgnoredSources = ((source: string) => boolean) | undefined

/** With re-including patterns nobody can tell from a name alone what is left out. */
export function ignoredSources(patterns: readonly string[] = []): IgnoredSources {
  const rules = compileIgnoreRules(patterns)
  if (rules.patterns.length === 0 || rules.patterns.some(({ negated }) => negated)) return undefined
  const leavesNothing = rules.patterns.some(({ text }) => ['*', '**', '**/*'].includes(text))
  return source => {
    const path = cleanPath(source)
    return path === '.' || path === '/' ? leavesNothing : rules.ignores(path)
  }
}

/** Reports a source that the ignore file leaves out. */
export function checkIgnored(
  linter: Linter,
  [instruction, source]: readonly ['Copy' | 'Add', string],
  isIgnored: IgnoredSources,
  place: CheckPlace,
): void {
  if (isIgnored?.(source) !== true) return
  linter.report(
    'CopyIgnoredFile',
    checkDetails.copyIgnoredFile(instruction, cleanPath(source)),
    place,
  )
}
