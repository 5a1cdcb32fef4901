// Archives, overlay trees and single files of a description as steps.

import path from 'node:path'
import { KauriError } from '../core/errors.ts'
import { type BuildStep, type ContextPath, guestPath } from '../plan/plan.ts'
import type { ArchiveEntry, FileEntry, Located } from './description.ts'
import type { SelectedDescription } from './select-description.ts'

/** One unpack step for each archive, in the order written; owners stay as the archive has them. */
export function archiveSteps(
  archives: readonly ArchiveEntry[],
  phase: 'bootstrap' | 'config',
): BuildStep[] {
  return archives.map(({ name, targetDirectory }) => ({
    kind: 'unpack',
    title: `archive ${name.value}`,
    where: name.where,
    phase,
    source: inDescription(name),
    target: guestPath(targetDirectory ?? '/'),
    ownership: 'archive',
  }))
}

/** The overlay tree, then those of the selected profiles in their order; everything in them becomes root's. */
export function overlaySteps({ description, profiles }: SelectedDescription): BuildStep[] {
  const { overlay, profileOverlays } = description.files
  const target = guestPath('/')
  const trees = [
    ...(overlay === 'root' ? ['root'] : []),
    ...profiles.filter(profile => profileOverlays.includes(profile)),
  ]
  return [
    ...(overlay === 'root.tar.gz'
      ? [
          {
            kind: 'unpack',
            title: 'overlay root.tar.gz',
            phase: 'config',
            source: { context: 'description', path: 'root.tar.gz' },
            target,
            ownership: 'root',
          } as const,
        ]
      : []),
    ...trees.map(
      name =>
        ({
          kind: 'copy',
          title: `overlay ${name}/`,
          phase: 'config',
          source: { context: 'description', path: name },
          target,
          as: 'tree',
        }) as const,
    ),
  ]
}

/** One copy step for each <file>. */
export function fileSteps(files: readonly FileEntry[]): BuildStep[] {
  return files.map(({ name, target, owner, permissions }) => ({
    kind: 'copy',
    title: `file ${name.value}`,
    where: name.where,
    phase: 'config',
    source: inDescription(name),
    target: guestPath(targetOf(name.value, target)),
    as: 'file',
    ...(owner === undefined ? {} : { owner }),
    ...(permissions === undefined ? {} : { mode: Number.parseInt(permissions.value, 8) }),
  }))
}

/** A target that ends in a slash is the directory to put the file into; without one the file goes below `/`. */
function targetOf(name: string, target: string | undefined): string {
  if (target === undefined) return name
  return target.endsWith('/') ? `${target}${path.posix.basename(name)}` : target
}

/** A file that the description names. @throws UNSUPPORTED where it lies outside of the description's directory */
export function inDescription({ value, where }: Located<string>): ContextPath {
  const file = path.posix.normalize(value)
  if (path.posix.isAbsolute(file) || file === '..' || file.startsWith('../'))
    throw new KauriError('UNSUPPORTED', `${value} lies outside the description's directory`, {
      where,
      hint: `copy it beside the description and write ${path.posix.basename(file)}`,
    })
  return { context: 'description', path: file }
}
