// Finds the compiled addon, compiles it at first use, and loads it; the only place that does.

import { createRequire } from 'node:module'
import { compiledPath } from './compile-native.ts'
import type { NativeCalls } from './native.ts'

/** @throws PREREQUISITE_MISSING where neither a compiled addon nor a compiler is there */
export function loadAddon(): NativeCalls {
  return createRequire(import.meta.url)(compiledPath('addon')) as NativeCalls
}
