// Collects findings while a description is read, so that one run tells all of them.

import { sortDiagnostics } from '../core/diagnostics.ts'
import { type Diagnostic, formatPosition, KauriError } from '../core/errors.ts'
import type { RuleName } from './rules.ts'
import { findingAt, type SourcePlace } from './source-text.ts'

/** More findings than this help nobody; a hostile file could make millions. */
const maxFindings = 500

/** Takes findings as they come. */
export interface Report {
  add(rule: RuleName, place: SourcePlace, message: string, hint?: string): void
  addFinding(finding: Diagnostic): void
  /** Everything found so far, sorted by place. */
  findings(): readonly Diagnostic[]
}

/** A new, empty report. */
export function createReport(): Report {
  const findings: Diagnostic[] = []
  const addFinding = (finding: Diagnostic): void => {
    if (findings.length < maxFindings) findings.push(finding)
  }
  return {
    add: (rule, place, message, hint) => addFinding(findingAt(place, rule, message, hint)),
    addFinding,
    findings: () => sortDiagnostics(findings),
  }
}

/** Fails with all findings where one of them is an error. @throws DESCRIPTION_INVALID */
export function throwOnErrors(findings: readonly Diagnostic[], file: string): void {
  const errors = findings.filter(({ severity }) => severity === 'error')
  const [first] = errors
  if (first === undefined) return
  throw new KauriError(
    'DESCRIPTION_INVALID',
    errors.length === 1
      ? `${formatPosition(first.where)}: ${first.message}`
      : `${file} has ${errors.length} errors`,
    { where: first.where, diagnostics: sortDiagnostics(findings) },
  )
}
