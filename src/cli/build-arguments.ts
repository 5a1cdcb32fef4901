// --build-arg: values for the ARG instructions of a Dockerfile.

import type { Environment } from './global-options.ts'
import { badValue } from './option-values.ts'

/** By name; a name alone takes the caller's variable, or nothing where that is not set. @throws USAGE */
export function parseBuildArguments(
  texts: readonly string[],
  environment: Environment,
): Map<string, string> {
  const values = new Map<string, string>()
  for (const text of texts) {
    const equals = text.indexOf('=')
    const name = equals < 0 ? text : text.slice(0, equals)
    if (name === '') throw badValue('--build-arg', text, 'write NAME=VALUE or NAME')
    const value = equals < 0 ? environment[name] : text.slice(equals + 1)
    if (value !== undefined) values.set(name, value)
  }
  return values
}
