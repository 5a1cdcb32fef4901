// The files beside a description: what takes part by its name alone is found, and what the description names must exist.

import { constants, type Stats } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import path from 'node:path'
import { hasErrno, type SourcePosition } from '../core/errors.ts'
import type { Tell } from './cross-checks.ts'
import type { DescribedTree } from './describe-tree.ts'
import {
  type DescriptionFiles,
  type HookName,
  type HookScript,
  hookNames,
  type Located,
} from './description.ts'

/** Looks beside the description; what is wrong there is told. */
export async function findDescriptionFiles(
  directory: string,
  tree: DescribedTree,
  shownDirectory: string,
  tell: Tell,
): Promise<DescriptionFiles> {
  const hooks: Partial<Record<HookName, HookScript>> = {}
  for (const name of hookNames) {
    const script = await findHook(path.join(directory, name), path.join(shownDirectory, name), tell)
    if (script !== undefined) hooks[name] = script
  }
  for (const name of namedFiles(tree)) await checkNamedFile(directory, name, tell)
  const isDirectory = async (name: string): Promise<boolean> =>
    (await statOf(path.join(directory, name)))?.isDirectory() ?? false
  const hasArchive = (await statOf(path.join(directory, 'root.tar.gz')))?.isFile() ?? false
  const overlay = (await isDirectory('root')) ? 'root' : hasArchive ? 'root.tar.gz' : undefined
  const profileOverlays: string[] = []
  for (const { name } of tree.profiles)
    if (isPlainName(name.value) && (await isDirectory(name.value))) profileOverlays.push(name.value)
  return { hooks, profileOverlays, ...(overlay === undefined ? {} : { overlay }) }
}

/** A name of one path component that is not the overlay's own. */
function isPlainName(name: string): boolean {
  return !['', '.', '..', 'root'].includes(name) && !name.includes('/')
}

async function findHook(file: string, shown: string, tell: Tell): Promise<HookScript | undefined> {
  const status = await statOf(file)
  if (status === undefined) return undefined
  const where: SourcePosition = { file: shown, line: 1, column: 1 }
  if (!status.isFile()) {
    tell('file-missing', where, `${shown} is not a regular file`)
    return undefined
  }
  const start = await readStart(file)
  const firstLine = /^[^\n]*/.exec(start)?.[0] ?? ''
  if (firstLine.endsWith('\r'))
    tell(
      'script-line-endings',
      where,
      `${shown} has Windows line endings (CRLF)`,
      `convert it: sed -i 's/\\r$//' ${shown}`,
    )
  return { isProgram: (status.mode & 0o111) !== 0 && start.startsWith('#!') }
}

async function readStart(file: string): Promise<string> {
  await using handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK)
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(4096), 0, 4096, 0)
  return buffer.toString('latin1', 0, bytesRead)
}

function namedFiles(tree: DescribedTree): Located<string>[] {
  return [
    ...tree.certificates.flatMap(({ files }) => files),
    ...tree.packages.flatMap(({ archives, files }) =>
      [...archives, ...files].map(({ name }) => name),
    ),
  ]
}

async function checkNamedFile(directory: string, name: Located<string>, tell: Tell): Promise<void> {
  if (name.value === '') return
  const relative = path.normalize(name.value)
  if (path.isAbsolute(relative) || relative === '..' || relative.startsWith('../')) {
    tell(
      'file-outside',
      name.where,
      `${name.value} lies outside the description's directory`,
      `copy it beside the description and write ${path.basename(relative)}`,
    )
    return
  }
  const status = await statOf(path.join(directory, relative))
  if (status === undefined)
    tell('file-missing', name.where, `there is no file ${name.value} beside the description`)
  else if (!status.isFile()) tell('file-missing', name.where, `${name.value} is not a regular file`)
}

async function statOf(file: string): Promise<Stats | undefined> {
  try {
    return await stat(file)
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return undefined
    throw error
  }
}
