// Programs of the host that kauri starts must not outlive it, whatever ends it. They run under the launcher's guard
// mode: it dies with this process, and as root it holds the program in a pid namespace of its own, so that every
// descendant dies with it.

import process from 'node:process'
import { compiledPath } from './compile-native.ts'

/**
 * Goes before the program and its arguments. Standard streams, extra descriptors, signals and the exit status pass
 * through; 127 where the program is missing. The guard must be a child of this process itself, not of a shell between.
 * @throws PREREQUISITE_MISSING where neither a compiled launcher nor a compiler is there
 */
export function guardCommand(): readonly string[] {
  return [compiledPath('launcher'), 'guard', String(process.pid)]
}
