// -v and --tmpfs in docker's spelling; mount-fields.ts has --mount.

import { existsSync } from 'node:fs'
import path from 'node:path'
import type {
  BindMount,
  ContainerMount,
  MountPropagation,
  TmpfsMount,
  VolumeMount,
} from '../container/mount-request.ts'
import { isVolumeName } from '../container/volume-name.ts'
import { KauriError } from '../core/errors.ts'
import { badValue } from './option-values.ts'

/** `SRC:DST[:OPTIONS]`, the source a host path or a volume's name, or `DST` for a volume of the container's own. @throws USAGE, UNSUPPORTED */
export function parseVolume(text: string): ContainerMount {
  const parts = text.split(':')
  const [first = '', second, words = '', ...rest] = parts
  if (rest.length > 0 || parts.includes(''))
    throw badValue('--volume', text, 'write SRC:DST, SRC:DST:ro, NAME:DST or DST')
  if (second === undefined)
    return { ...anyVolume, destination: mountDestination('--volume', text, first) }
  const destination = mountDestination('--volume', text, second)
  const source = hostPath(first)
  if (source !== undefined) return withBindWords({ ...anyBind, source, destination }, words, text)
  const volume = {
    ...anyVolume,
    name: volumeName('--volume', first),
    anonymous: false,
    destination,
  }
  return withVolumeWords(volume, words, text)
}

/** What `-v` has unless it says otherwise. */
export const anyBind: Omit<BindMount, 'source' | 'destination'> = {
  kind: 'bind',
  readOnly: false,
  recursive: true,
  propagation: 'rprivate',
  makeSource: true,
}

/** A volume without a name, filled from the image. */
export const anyVolume: Omit<VolumeMount, 'destination'> = {
  kind: 'volume',
  anonymous: true,
  readOnly: false,
  copy: true,
}

function withBindWords(mount: BindMount, words: string, text: string): BindMount {
  return words.split(',').reduce((changed, word): BindMount => {
    switch (word) {
      case '':
      case 'rw':
      case 'rbind':
        return changed
      case 'bind':
        return { ...changed, recursive: false }
      case 'ro':
        return { ...changed, readOnly: true }
      case 'z':
      case 'Z':
        return refusingLabels(changed)
      default:
        return { ...changed, propagation: mountPropagation('--volume', text, word) }
    }
  }, mount)
}

function withVolumeWords(mount: VolumeMount, words: string, text: string): VolumeMount {
  return words.split(',').reduce((changed, word): VolumeMount => {
    switch (word) {
      case '':
      case 'rw':
        return changed
      case 'ro':
        return { ...changed, readOnly: true }
      case 'nocopy':
        return { ...changed, copy: false }
      case 'copy':
        return { ...changed, copy: true }
      case 'z':
      case 'Z':
        return refusingLabels(changed)
      default:
        throw badValue('--volume', text, `"${word}" is none of ro, rw, nocopy for a volume`)
    }
  }, mount)
}

/** Labels mean something only where SELinux is on, which kauri does not serve. */
function refusingLabels<T extends BindMount | VolumeMount>(mount: T): T {
  if (existsSync('/sys/fs/selinux/enforce'))
    throw new KauriError('UNSUPPORTED', 'kauri sets no SELinux labels', {
      hint: 'label the source with chcon, and leave z and Z out',
    })
  return mount
}

const propagations: readonly MountPropagation[] = [
  'rprivate',
  'private',
  'rslave',
  'slave',
  'rshared',
  'shared',
]

/** @throws USAGE */
export function mountPropagation(option: string, text: string, word: string): MountPropagation {
  const found = propagations.find(propagation => propagation === word)
  if (found !== undefined) return found
  throw badValue(option, text, `"${word}" is none of ro, rw, ${propagations.join(', ')}`)
}

/** An absolute path on the host; undefined for what is no path but a name. */
export function hostPath(source: string): string | undefined {
  if (source.startsWith('/')) return path.posix.normalize(source)
  return /^\.{1,2}(?:\/|$)/.test(source) ? path.resolve(source) : undefined
}

/** @throws USAGE */
export function volumeName(option: string, name: string): string {
  if (isVolumeName(name)) return name
  throw badValue(
    option,
    name,
    'write a host path that starts with / or ./, or a volume name of 2 to 255 letters, digits, "_", "." and "-"',
  )
}

/** A place in the container, in its shortest form. @throws USAGE */
export function mountDestination(option: string, text: string, destination: string): string {
  const normal = path.posix.normalize(destination).replace(/(?<=.)\/$/, '')
  if (destination.startsWith('/') && normal !== '/') return normal
  throw badValue(option, text, 'the destination is an absolute path below / in the container')
}

/** Default options, then the caller's: `DST[:OPTIONS]`. @throws USAGE */
export function parseTmpfs(text: string): TmpfsMount {
  const colon = text.indexOf(':')
  const destination = colon < 0 ? text : text.slice(0, colon)
  const words =
    colon < 0
      ? []
      : text
          .slice(colon + 1)
          .split(',')
          .filter(Boolean)
  for (const word of words)
    if (!tmpfsWord.test(word))
      throw badValue('--tmpfs', text, `"${word}" is no option of a temporary file system`)
  return {
    kind: 'tmpfs',
    destination: mountDestination('--tmpfs', text, destination),
    options: words,
  }
}

/** Options that tmpfs(5) has and a container may set. */
export const tmpfsWord: RegExp =
  /^(?:ro|rw|(?:no)?(?:suid|dev|exec|atime|diratime)|relatime|strictatime|mode=[0-7]{3,4}|(?:size|nr_blocks|nr_inodes)=\d+[kmgKMG%]?|[ug]id=\d+|noswap)$/
