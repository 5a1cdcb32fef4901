// Tests that need root, a peer's program or the conformance tables say so here; what is missing becomes a skip with the
// reason, and in CI (KAURI_REQUIRE_PEERS=1) a failure.

import { existsSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import test, { type ExecutionContext } from 'ava'

export interface Needs {
  readonly root?: boolean
  /** Programs that must be on the PATH. */
  readonly programs?: readonly string[]
  /** A path below the conformance tables beside the checkout, such as `image-spec`. */
  readonly conformance?: string
}

const programDirectories = [
  ...(process.env['PATH'] ?? '').split(':'),
  '/usr/local/sbin',
  '/usr/sbin',
  '/sbin',
]

/** True when a program of that name can be run. */
export function hasProgram(name: string): boolean {
  return programDirectories.some(directory => existsSync(path.join(directory, name)))
}

/** Where the conformance tables would be. */
export function conformancePath(name: string): string {
  return path.join(import.meta.dirname, '..', '..', '..', 'shared', 'conformance', name)
}

function missing(needs: Needs): string | undefined {
  if (needs.root && process.getuid?.() !== 0) return 'needs root'
  const program = needs.programs?.find(name => !hasProgram(name))
  if (program !== undefined) return `needs the program ${program}`
  if (needs.conformance !== undefined && !existsSync(conformancePath(needs.conformance)))
    return `needs the conformance tables (${needs.conformance})`
  return undefined
}

type TestBody = (t: ExecutionContext) => void | Promise<void>

/** `test`, or a stand-in that skips with the reason in the title; missing programs fail where peers are required. */
export function testWith(needs: Needs): (title: string, body: TestBody) => void {
  const reason = missing(needs)
  if (reason === undefined) return (title, body) => test.serial(title, body)
  if (process.env['KAURI_REQUIRE_PEERS'] === '1' && reason.includes('program'))
    return title => test(title, t => t.fail(reason))
  return (title, body) => test.skip(`${title} [${reason}]`, body)
}
