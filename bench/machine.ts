// What the figures were measured on.

import { readFile } from 'node:fs/promises'
import { availableParallelism, release } from 'node:os'
import { findProgram, runCommand } from './measure.ts'

/** What each peer answers when asked for its version. */
const versionWords: Readonly<Record<string, readonly string[]>> = {
  docker: ['--version'],
  podman: ['--version'],
  crun: ['--version'],
  runc: ['--version'],
  mmdebstrap: ['--version'],
  'kiwi-ng': ['--version'],
}

/** One line: cores, kernel, file system, versions of the peers. */
export async function describeMachine(): Promise<string> {
  const versions: string[] = []
  for (const [name, words] of Object.entries(versionWords)) {
    if (findProgram(name) === undefined) continue
    const signal = new AbortController().signal
    const { stdout } = await runCommand({ argv: [name, ...words], env: {} }, signal)
    versions.push(`${name} ${/\d+(?:\.\d+)+/.exec(stdout)?.[0] ?? 'unknown'}`)
  }
  const machine = `${availableParallelism()} cores, Linux ${release().split('-')[0]}, ${await rootFileSystem()}`
  return `Measured on ${machine}, Node ${process.versions.node}; ${versions.join(', ')}.`
}

async function rootFileSystem(): Promise<string> {
  const mounts = await readFile('/proc/self/mounts', 'utf8')
  const types = mounts
    .split('\n')
    .map(line => line.split(' '))
    .filter(([, target]) => target === '/')
  return types.at(-1)?.[2] ?? 'unknown file system'
}
