// Keys that take a person off a container without ending it: `ctrl-p,ctrl-q` unless said otherwise.

import { badValue } from './option-values.ts'

/** Docker's. */
export const defaultDetachKeys = 'ctrl-p,ctrl-q'

/** The bytes of the keys, one after the other. @throws USAGE */
export function parseDetachKeys(text: string): Uint8Array {
  const bytes = text.split(',').map(word => {
    const [, control] = /^ctrl-([a-z@[\\\]^_])$/i.exec(word) ?? []
    if (control !== undefined) return control.toUpperCase().charCodeAt(0) & 0x1f
    const code = word.charCodeAt(0)
    if (word.length === 1 && code < 0x80) return code
    throw badValue('--detach-keys', text, 'write letters and ctrl-LETTER, such as ctrl-p,ctrl-q')
  })
  return Uint8Array.from(bytes)
}

/** What of the input is for the container. */
export interface FilteredInput {
  readonly bytes: Uint8Array
  /** The keys came: what was typed behind them is nobody's. */
  readonly isDetached: boolean
}

/** Looks for the keys, which may come in several pieces; what turns out not to be them is passed on late. */
export function detachFilter(keys: Uint8Array): (input: Uint8Array) => FilteredInput {
  let matched = 0
  return input => {
    const passed: number[] = []
    for (const byte of input) {
      if (byte === keys[matched]) {
        matched++
        if (matched === keys.length) return { bytes: Uint8Array.from(passed), isDetached: true }
        continue
      }
      passed.push(...keys.subarray(0, matched))
      matched = byte === keys[0] ? 1 : 0
      if (matched === 0) passed.push(byte)
    }
    return { bytes: Uint8Array.from(passed), isDetached: false }
  }
}
