// `kauri build` as people type it, with a state directory and a small base image that the tests of one file share.

import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { ExecutionContext } from 'ava'
import {
  type KauriProgram,
  kauriProgram,
  type ProgramInput,
  type ProgramResult,
} from './kauri-program.ts'
import { makeScratch, type Scratch } from './scratch.ts'
import { makeSmallRoot } from './small-root.ts'

export interface BuildTrial extends Disposable {
  readonly kauri: KauriProgram
  readonly scratch: Scratch
  /** Makes a context; names that end in a slash are empty directories. */
  readonly contextOf: (files: Readonly<Record<string, string>>) => string
  /** A build that must work; the result is its standard output without the last line break. */
  readonly build: (
    t: ExecutionContext,
    words: readonly string[],
    input?: ProgramInput,
  ) => Promise<string>
  /** A build that may fail. */
  readonly tryBuild: (words: readonly string[], input?: ProgramInput) => Promise<ProgramResult>
}

/** Imports the base: an image called `base` with a shell. */
export async function openBuildTrial(): Promise<BuildTrial> {
  const kauri = kauriProgram()
  const scratch = makeScratch()
  makeSmallRoot(scratch.at('root'))
  execFileSync('tar', ['-C', scratch.at('root'), '-cf', scratch.at('root.tar'), '.'])
  const words = ['import', scratch.at('root.tar'), 'base', '-c', 'ENV PATH=/usr/bin']
  const { code, stderr } = await kauri.run(words)
  if (code !== 0) throw new Error(stderr)
  let contexts = 0
  return {
    kauri,
    scratch,
    contextOf(files) {
      const directory = scratch.at(`context-${++contexts}`)
      mkdirSync(directory)
      for (const [name, text] of Object.entries(files)) {
        const file = path.join(directory, name)
        mkdirSync(path.dirname(file), { recursive: true })
        if (name.endsWith('/')) mkdirSync(file)
        else writeFileSync(file, text)
      }
      return directory
    },
    async build(t, more, input) {
      const result = await kauri.run(['build', ...more], input)
      t.is(result.code, 0, `kauri build ${more.join(' ')}\n${result.stderr}`)
      return result.stdout.trim()
    },
    tryBuild: (more, input) => kauri.run(['build', ...more], input),
    [Symbol.dispose]() {
      kauri[Symbol.dispose]()
      scratch[Symbol.dispose]()
    },
  }
}
