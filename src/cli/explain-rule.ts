// Rules of descriptions and of Dockerfiles under one roof: what each is about.

import { explainRule, ruleNames } from '../description/rules.ts'
import { checkNames, explainCheck } from '../dockerfile/explain-check.ts'

export interface ExplainedRule {
  readonly name: string
  readonly severity: string
  readonly explanation: string
  /** A page with more. */
  readonly url?: string
}

/** What a rule is about, or undefined where there is none of that name. */
export function explainAnyRule(name: string): ExplainedRule | undefined {
  return explainRule(name) ?? explainCheck(name)
}

/** Every rule name: those of descriptions, then those of Dockerfiles. */
export function allRuleNames(): readonly string[] {
  return [...ruleNames(), ...checkNames()]
}
