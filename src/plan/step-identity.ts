// What of a step decides its result. Its digest, together with what the step reads and the step before it, names the
// snapshot that the step makes; so titles, phases and places in the user's files stay out of it.

import type { Json } from '../core/canonical-json.ts'
import type { AddStep, BuildStep, SourceRoot } from './plan.ts'

/**
 * The step as data without what only people read, and without the credentials of repositories. Contents of contexts and
 * the resolved package set are not in it: whoever executes the step adds their digests.
 */
export function stepIdentity(step: BuildStep): Json {
  const { title: _title, phase: _phase, ...words } = step
  const identity = words.kind === 'add' ? addIdentity(words) : words
  const data: Json = JSON.parse(JSON.stringify(identity, identifyingValue))
  return data
}

/** What patterns and addresses select is in what the step reads: the name of a copied directory, for one, changes nothing. */
function addIdentity({
  sources,
  excludes: _excludes,
  parents: _parents,
  ...identity
}: Omit<AddStep, 'title' | 'phase'>): object {
  const named = sources.map(source => (source.kind === 'text' ? source : { kind: source.kind }))
  return { ...identity, sources: named }
}

function identifyingValue(key: string, value: unknown): unknown {
  if (key === 'where') return undefined
  // What is read counts, not what the user calls the stage or context that it comes from.
  if (key === 'from' && isSourceRoot(value)) return { kind: value.kind }
  if (key === 'location' && typeof value === 'string')
    return value.replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/@]*@/i, '$1')
  return value
}

function isSourceRoot(value: unknown): value is SourceRoot {
  return typeof value === 'object' && value !== null && 'kind' in value
}
