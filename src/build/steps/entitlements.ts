// What an instruction may only do where the caller of the build allows it, whoever wrote the Dockerfile.

import { KauriError } from '../../core/errors.ts'
import type { RunStep } from '../../plan/plan.ts'
import type { BuildOptions } from '../build.ts'

/** @throws PERMISSION_DENIED, in BuildKit's words; scripts of descriptions are the caller's own and need no leave */
export function checkEntitlements(step: RunStep, { caller }: BuildOptions): void {
  if (step.phase !== 'instruction') return
  const wanted: ('network.host' | 'security.insecure')[] = []
  if (step.network === 'host') wanted.push('network.host')
  if (step.security === 'insecure') wanted.push('security.insecure')
  const missing = wanted.find(entitlement => caller?.allow.has(entitlement) !== true)
  if (missing === undefined) return
  throw new KauriError('PERMISSION_DENIED', `${missing} is not allowed`, {
    hint: `if you trust the Dockerfile, allow it with --allow ${missing}`,
    where: step.where,
  })
}
