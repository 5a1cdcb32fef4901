// Findings as SARIF 2.1.0, the form that code hosts and editors show beside the lines.

import type { Diagnostic } from '../core/errors.ts'
import { explainAnyRule } from './explain-rule.ts'

/** A log of one run with one result for each finding. */
export function sarifLog(findings: readonly Diagnostic[], kauriVersion: string): object {
  const rules = [...new Set(findings.map(({ rule }) => rule))].toSorted()
  return {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: { driver: { name: 'kauri', version: kauriVersion, rules: rules.map(sarifRule) } },
        columnKind: 'unicodeCodePoints',
        results: findings.map(finding => ({
          ruleId: finding.rule,
          ruleIndex: rules.indexOf(finding.rule),
          level: finding.severity,
          message: {
            text:
              finding.hint === undefined ? finding.message : `${finding.message} (${finding.hint})`,
          },
          locations: [sarifLocation(finding)],
        })),
      },
    ],
  }
}

function sarifRule(id: string): object {
  const rule = explainAnyRule(id)
  return {
    id,
    ...(rule === undefined ? {} : { fullDescription: { text: rule.explanation } }),
    ...(rule?.url === undefined ? {} : { helpUri: rule.url }),
  }
}

function sarifLocation({ where, excerpt }: Diagnostic): object {
  return {
    physicalLocation: {
      artifactLocation: { uri: encodeURI(where.file) },
      region: {
        startLine: where.line,
        startColumn: where.column,
        ...(excerpt === undefined ? {} : { snippet: { text: excerpt } }),
      },
    },
  }
}
