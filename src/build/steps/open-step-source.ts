// Where the contexts that a plan names are on this host, and what a step reads of them.

import { KauriError, type SourcePosition } from '../../core/errors.ts'
import type { Digest } from '../../oci/digest.ts'
import type { ContextPath } from '../../plan/plan.ts'
import { digestContextSource } from '../context-digest.ts'
import { type ContextSource, openContextSource } from '../context-scan.ts'
import type { StepContext } from './step.ts'

/** A source and where the user named it. */
export interface NamedSource {
  readonly source: ContextPath
  readonly where?: SourcePosition | undefined
}

/** The host directory of a context. @throws INTERNAL where the plan lacks it */
export function contextRoot({ plan }: Pick<StepContext, 'plan'>, name: string): string {
  const context = plan.contexts[name]
  if (context === undefined) throw new KauriError('INTERNAL', `the plan has no context "${name}"`)
  return context.directory
}

/** Opens and lists a source of the plan; the caller disposes it. @throws FILE_NOT_FOUND */
export function openStepSource(
  context: StepContext,
  { source, where }: NamedSource,
): ContextSource {
  return openContextSource(contextRoot(context, source.context), source, where)
}

/** Reads a source from end to end. @throws FILE_NOT_FOUND */
export async function digestStepSource(context: StepContext, named: NamedSource): Promise<Digest> {
  using source = openStepSource(context, named)
  return await digestContextSource(source, context.options.signal)
}

/** For after the use: what changed meanwhile must not be remembered under the name of what it was. @throws PROCESS_FAILED */
export async function requireUnchanged(
  context: StepContext,
  named: NamedSource,
  digest: Digest,
): Promise<void> {
  using source = openStepSource(context, named)
  if ((await digestContextSource(source, context.options.signal)) === digest) return
  throw new KauriError('PROCESS_FAILED', `${source.hostPath} changed while it was used`, {
    hint: 'build again when nothing writes there',
    where: named.where,
  })
}
