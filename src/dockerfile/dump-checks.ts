// What the build checks find in a Dockerfile as JSON, in the members of BuildKit's own results.

import type { CheckedText } from './check-diagnostics.ts'
import { type CheckOptions, checkDockerfile } from './check-dockerfile.ts'
import type { Dump } from './dump-dockerfile.ts'
import type { CheckFinding } from './linter.ts'

/**
 * `warnings` are those of a build of the last stage, `unmarshalWarnings` those of all stages where they differ;
 * `buildErr` is what a build stops with, or empty.
 */
export async function dumpChecks(source: CheckedText, options: CheckOptions): Promise<Dump> {
  const all = await checkDockerfile(source, options)
  const last = await checkDockerfile(source, { ...options, target: options.target ?? '' })
  const everywhere = all.findings.map(dumpFinding)
  const warnings = last.findings.map(dumpFinding)
  const error = last.error ?? all.error
  return {
    warnings,
    unmarshalWarnings: sameDump(everywhere, warnings) ? null : everywhere,
    buildErr: error?.message ?? '',
    buildErrLocation: error?.where?.line ?? 0,
  }
}

function sameDump(a: readonly Dump[], b: readonly Dump[]): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}

function dumpFinding(finding: CheckFinding): Dump {
  return {
    RuleName: finding.rule,
    Description: finding.description,
    Line: finding.startLine,
    Detail: finding.detail,
    URL: finding.url,
    Level: finding.level,
  }
}
