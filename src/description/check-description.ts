// Everything that can be said about a description without building it: errors, warnings, notes and what kauri cannot do.

import { sortDiagnostics } from '../core/diagnostics.ts'
import { type Diagnostic, KauriError } from '../core/errors.ts'
import { type ReadOptions, readDescription } from './read-description.ts'

/** All findings, sorted by place; none for a description that is fine. @throws DESCRIPTION_NOT_FOUND */
export async function checkDescription(
  directory: string,
  options: ReadOptions = {},
): Promise<readonly Diagnostic[]> {
  try {
    const { findings, limits } = await readDescription(directory, options)
    return sortDiagnostics([...findings, ...limits.map(({ finding }) => finding)])
  } catch (error) {
    if (error instanceof KauriError && error.diagnostics.length > 0) return error.diagnostics
    throw error
  }
}
