// Reads remembered plans back. They are our own files, but a file may be of another version or half of a disk's past:
// what does not look right is no record.

import type { AptPlan } from './apt-resolve.ts'
import type { DpkgAction } from './apt-solution.ts'
import type { ResolvedPackage } from './package-manager.ts'

/** The plan that a record holds, or undefined. */
export function parseRememberedPlan(text: string | undefined): AptPlan | undefined {
  if (text === undefined) return undefined
  const value = parseJson(text)
  if (!isRecord(value)) return undefined
  const { packages, removed, actions } = value
  if (!Array.isArray(packages) || !packages.every(isPackage)) return undefined
  if (!Array.isArray(removed) || !removed.every(name => typeof name === 'string')) return undefined
  if (!Array.isArray(actions) || !actions.every(isAction)) return undefined
  return { packages, removed, actions }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function isPackage(value: unknown): value is ResolvedPackage {
  if (!isRecord(value)) return false
  const texts = ['name', 'version', 'architecture', 'checksum', 'url']
  return (
    texts.every(key => typeof value[key] === 'string') &&
    typeof value['sizeBytes'] === 'number' &&
    typeof value['requested'] === 'boolean'
  )
}

function isAction(value: unknown): value is DpkgAction {
  return (
    isRecord(value) &&
    typeof value['name'] === 'string' &&
    ['unpack', 'configure', 'remove', 'purge'].includes(String(value['kind']))
  )
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
