// Gives the failures of a step their place in the user's file, where they know none.

import { KauriError, type SourcePosition } from '../../core/errors.ts'

/** Does the step's work; errors that have a place of their own, and those of other kinds, pass unchanged. */
export async function locateErrors<T>(
  { where }: { readonly where?: SourcePosition },
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof KauriError) || error.where !== undefined || where === undefined)
      throw error
    const { code, message, hint, diagnostics, output, excerpt } = error
    throw new KauriError(code, message, { hint, diagnostics, output, excerpt, where, cause: error })
  }
}
