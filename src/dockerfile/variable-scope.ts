// Variables of a stage while it is lowered: names and values in the order in which a program gets to see them.

import { expandWord } from './expand-word.ts'

/** Variables in order; one that is set again moves to the end, as in BuildKit. */
export interface VariableScope {
  readonly get: (name: string) => string | undefined
  set(name: string, value: string): void
  remove(name: string): void
  names(): readonly string[]
  /** `NAME=value` items. */
  items(): readonly string[]
  /** An independent copy. */
  copy(): VariableScope
}

/** A scope that holds `start`. */
export function createScope(start: Iterable<readonly [string, string]> = []): VariableScope {
  const values = new Map<string, string>(start)
  // Many instructions see the same variables; they share the list.
  let items: readonly string[] | undefined
  return {
    get: name => values.get(name),
    set: (name, value) => {
      values.delete(name)
      values.set(name, value)
      items = undefined
    },
    remove: name => {
      values.delete(name)
      items = undefined
    },
    names: () => [...values.keys()],
    items: () => {
      items ??= Array.from(values, ([name, value]) => `${name}=${value}`)
      return items
    },
    copy: () => createScope(values),
  }
}

/** Name and value of a `NAME=value` item; an item without `=` has an empty value. */
export function splitVariable(item: string): readonly [name: string, value: string] {
  const equals = item.indexOf('=')
  return equals < 0 ? [item, ''] : [item.slice(0, equals), item.slice(equals + 1)]
}

/**
 * The text of an instruction as progress shows it: variables that are set replaced, all else as it was written.
 * `masked` names stand for values that nobody may see.
 */
export function describeText(
  text: string,
  scope: VariableScope,
  how: { readonly escape: '\\' | '`'; readonly asShell: boolean; readonly masked?: Set<string> },
): string {
  try {
    return expandWord(text, {
      lookUp: name => (how.masked?.has(name) === true ? '****' : scope.get(name)),
      escape: how.escape,
      ...(how.asShell ? { keepQuotes: true, keepUnset: true } : {}),
    }).word
  } catch {
    return text
  }
}
