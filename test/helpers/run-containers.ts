// Containers from a small image, for the end-to-end tests of `kauri run`: one state directory for a whole test file.

import process from 'node:process'
import test from 'ava'
import { type KauriProgram, kauriProgram, type ProgramResult } from './kauri-program.ts'
import { makeScratch } from './scratch.ts'
import { makeSmallRoot, tarOfRoot } from './small-root.ts'

export interface Containers {
  /** Only while tests run. */
  readonly kauri: KauriProgram
  /** Imports the small root, changed by `change`, under a name; `changes` are lines for `import -c`. */
  readonly importRoot: (
    name: string,
    change?: (root: string) => void,
    changes?: readonly string[],
  ) => Promise<void>
  /** `kauri run --rm OPTIONS small sh -c SCRIPT` */
  readonly run: (script: string, ...options: readonly string[]) => Promise<ProgramResult>
  /** What a script printed; it must end well. */
  readonly printed: (script: string, ...options: readonly string[]) => Promise<string>
}

/** Call it once at the top of a test file: makes the state before its tests and removes it after them. */
export function useContainers(): Containers {
  const isRoot = process.getuid?.() === 0
  const kauri = kauriProgram()
  const containers: Containers = {
    kauri,
    async importRoot(name, change = () => {}, changes = []) {
      using scratch = makeScratch()
      makeSmallRoot(scratch.path)
      change(scratch.path)
      const options = changes.flatMap(line => ['-c', line])
      const input = tarOfRoot(scratch.path)
      const result = await kauri.run(['import', ...options, '-', name], { input })
      if (result.code !== 0) throw new Error(result.stderr)
    },
    run: (script, ...options) =>
      kauri.run(['run', '--rm', ...options, 'small', 'sh', '-c', script]),
    async printed(script, ...options) {
      const { code, stdout, stderr } = await containers.run(script, ...options)
      if (code !== 0) throw new Error(`exit code ${code}: ${stderr}${stdout}`)
      return stdout.trimEnd()
    },
  }
  test.before(async () => {
    if (isRoot) await containers.importRoot('small', () => {}, ['CMD ["sh"]'])
  })
  test.after.always(() => kauri[Symbol.dispose]())
  return containers
}
