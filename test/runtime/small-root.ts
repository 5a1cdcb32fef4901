// A root file system for tests: a few programs of this machine with their libraries, some hundred milliseconds to make.

import { execFileSync } from 'node:child_process'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'

const programs =
  `sh cat chmod cp date dd df echo env grep head hostname id kill ln ls mkdir mknod mount mv perl
  readlink rm setsid sleep stat stty sync touch true tty umount`.split(/\s+/)

const hostDirectories = ['/usr/local/bin', '/usr/bin', '/bin', '/usr/sbin', '/sbin']

let shared: string | undefined

/** One root for all tests of a process; perl is there for system calls that no program makes. Nobody changes it. */
export function smallRoot(): string {
  if (shared !== undefined) return shared
  const root = mkdtempSync(path.join(tmpdir(), 'kauri-root-'))
  process.once('exit', () => rmSync(root, { recursive: true, force: true }))
  makeSmallRoot(root)
  shared = root
  return root
}

function makeSmallRoot(root: string): void {
  for (const directory of ['bin', 'etc', 'tmp', 'root'])
    mkdirSync(path.join(root, directory), { recursive: true })
  for (const program of programs) {
    const source = hostDirectories.map(directory => path.join(directory, program)).find(existsSync)
    if (source !== undefined)
      copyWithLibraries(realpathSync(source), path.join('/bin', program), root)
  }
  writeFileSync(path.join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n')
}

function copyWithLibraries(source: string, target: string, root: string): void {
  copyFileSync(source, path.join(root, target))
  for (const [library] of librariesOf(source)) {
    if (library === undefined) continue
    const place = path.join(root, library)
    if (existsSync(place)) continue
    mkdirSync(path.dirname(place), { recursive: true })
    copyFileSync(realpathSync(library), place)
  }
}

function librariesOf(program: string): Iterable<RegExpMatchArray> {
  return execFileSync('ldd', [program], { encoding: 'utf8' }).matchAll(/\/\S+/g)
}
