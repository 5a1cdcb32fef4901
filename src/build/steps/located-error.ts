// Errors of things that know nothing of the user's file, with the place in it.

import { KauriError, type SourcePosition } from '../../core/errors.ts'

/** The same error at a place; unchanged where it has one, or is none of kauri's. */
export function locatedError(error: unknown, where: SourcePosition | undefined): unknown {
  if (!(error instanceof KauriError) || error.where !== undefined || where === undefined)
    return error
  if (error.code === 'CANCELLED') return error
  const { code, message, hint, diagnostics, output } = error
  return new KauriError(code, message, { hint, where, diagnostics, output, cause: error })
}
