// Collects what build checks find. Who finds something names the rule and says it in the rule's words; here it is decided
// whether that is reported, and whether it makes the build fail.

import { KauriError } from '../core/errors.ts'
import { checkDiagnostics } from './check-diagnostics.ts'
import { type CheckName, type CheckRule, checkRules } from './check-rules.ts'
import { readCheckDirective } from './directives.ts'
import { type LintOptions, parseLintOptions, withCommentOptions } from './lint-options.ts'

/** One finding of a build check, in the members that docker prints. */
export interface CheckFinding {
  readonly rule: CheckName
  /** What the rule asks for. */
  readonly description: string
  /** What is wrong here. */
  readonly detail: string
  /** Empty where the rule has no page. */
  readonly url: string
  /** 1: a warning, the only one there is. */
  readonly level: 1
  /** First and last line, from 1. */
  readonly startLine: number
  readonly endLine: number
}

export interface CheckPlace {
  readonly startLine: number
  readonly endLine: number
  /** Comments in which `check=…` adds to the options; without them only the file's own count. */
  readonly comments?: readonly string[]
}

export interface Linter {
  /** Adds a finding, unless its rule is skipped, or experimental and not asked for. */
  report(rule: CheckName, detail: string, place: CheckPlace): void
  /** Those so far, in the order they were reported. */
  readonly findings: readonly CheckFinding[]
  /** Findings make the build fail: `error=true`. */
  readonly isError: boolean
  /** @throws DESCRIPTION_INVALID with all findings, where there are some and `error=true` was given */
  throwIfFailed(file: string): void
  /** True for the error that throwIfFailed throws, which says no more than the findings do. */
  isRefusal(error: unknown): boolean
}

export interface LinterOptions {
  /** The Dockerfile, for its directive `# check=…` and for excerpts. */
  readonly text?: string | undefined
  /** Value of the build argument BUILDKIT_DOCKERFILE_CHECK; takes the place of the directive. */
  readonly checks?: string | undefined
}

/** @throws DESCRIPTION_INVALID for options that are none */
export function createLinter({ text = '', checks }: LinterOptions = {}): Linter {
  const options = readOptions(text, checks)
  const findings: CheckFinding[] = []
  const refusals = new WeakSet<KauriError>()
  return {
    findings,
    isError: options.isError,
    isRefusal: error => error instanceof KauriError && refusals.has(error),
    report: (rule, detail, { startLine, endLine, comments = [] }) => {
      if (!isWanted(rule, withCommentOptions(options, comments))) return
      const { description, url }: CheckRule = checkRules[rule]
      findings.push({ rule, description, detail, url, level: 1, startLine, endLine })
    },
    throwIfFailed: file => {
      const [first] = findings
      if (!options.isError || first === undefined) return
      const rules = [...new Set(findings.map(({ rule }) => rule))]
      const refusal = new KauriError(
        'DESCRIPTION_INVALID',
        `lint violation found for rules: ${rules.join(', ')}`,
        {
          where: { file, line: first.startLine, column: 1 },
          diagnostics: checkDiagnostics(findings, { file, text }, true),
        },
      )
      refusals.add(refusal)
      throw refusal
    },
  }
}

function readOptions(text: string, checks: string | undefined): LintOptions {
  try {
    return parseLintOptions(checks ?? readCheckDirective(text))
  } catch (error) {
    if (!(error instanceof KauriError)) throw error
    const what = checks === undefined ? 'check options' : 'build-arg:BUILDKIT_DOCKERFILE_CHECK'
    throw new KauriError(error.code, `failed to parse ${what}: ${error.message}`, { cause: error })
  }
}

function isWanted(rule: CheckName, { skip, experimental }: LintOptions): boolean {
  const names = checkRules[rule].isExperimental ? experimental : skip
  const isNamed = names === 'all' || names.includes(rule)
  return checkRules[rule].isExperimental ? isNamed : !isNamed
}
