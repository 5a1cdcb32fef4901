// -v, --mount and --tmpfs in docker's spelling.

import { existsSync } from 'node:fs'
import path from 'node:path'
import type { ContainerMount } from '../container/container.ts'
import { KauriError } from '../core/errors.ts'
import { badValue, parseBoolean, parseBytes } from './option-values.ts'

type BindMount = ContainerMount & { readonly kind: 'bind' }
type Propagation = BindMount['propagation']

/** `SRC:DST[:OPTIONS]`, or `DST` for a volume of the container's own. @throws USAGE, UNSUPPORTED */
export function parseVolume(text: string): ContainerMount {
  const parts = text.split(':')
  const [first = '', second, words = '', ...rest] = parts
  if (rest.length > 0 || parts.includes(''))
    throw badValue('--volume', text, 'write SRC:DST, SRC:DST:ro or DST')
  if (second === undefined)
    return { kind: 'volume', destination: destinationOf('--volume', text, first), readOnly: false }
  const source = hostPathOf('--volume', first)
  const mount: BindMount = {
    kind: 'bind',
    source,
    destination: destinationOf('--volume', text, second),
    readOnly: false,
    recursive: true,
    propagation: 'rprivate',
    makeSource: true,
  }
  return words.split(',').reduce((changed, word) => withVolumeWord(changed, word, text), mount)
}

function withVolumeWord(mount: BindMount, word: string, text: string): BindMount {
  switch (word) {
    case '':
    case 'rw':
      return mount
    case 'ro':
      return { ...mount, readOnly: true }
    case 'z':
    case 'Z':
      return withoutLabels(mount)
    default:
      return { ...mount, propagation: propagationOf('--volume', text, word) }
  }
}

/** Labels mean something only where SELinux is on, which kauri does not serve. */
function withoutLabels(mount: BindMount): BindMount {
  if (existsSync('/sys/fs/selinux/enforce'))
    throw new KauriError('UNSUPPORTED', 'kauri sets no SELinux labels', {
      hint: `label ${mount.source} with chcon, and leave z and Z out`,
    })
  return mount
}

const propagations: readonly Propagation[] = ['rprivate', 'private', 'rslave', 'slave']

function propagationOf(option: string, text: string, word: string): Propagation {
  const found = propagations.find(propagation => propagation === word)
  if (found !== undefined) return found
  throw badValue(option, text, `"${word}" is none of ro, rw, ${propagations.join(', ')}`)
}

/** A host path; names of volumes that outlive containers are not there yet. */
function hostPathOf(option: string, source: string): string {
  if (source.startsWith('/')) return path.posix.normalize(source)
  if (source.startsWith('./') || source.startsWith('../') || source === '.' || source === '..')
    return path.resolve(source)
  throw new KauriError('UNSUPPORTED', `${option} ${source}: kauri has no named volumes`, {
    hint: `write a host path that starts with / or ./, such as ./${source}`,
  })
}

function destinationOf(option: string, text: string, destination: string): string {
  const normal = path.posix.normalize(destination).replace(/(?<=.)\/$/, '')
  if (destination.startsWith('/') && normal !== '/') return normal
  throw badValue(option, text, 'the destination is an absolute path below / in the container')
}

/** Default options, then the caller's: `DST[:OPTIONS]`. @throws USAGE */
export function parseTmpfs(text: string): ContainerMount {
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
  return { kind: 'tmpfs', destination: destinationOf('--tmpfs', text, destination), options: words }
}

const tmpfsWord =
  /^(?:ro|rw|(?:no)?(?:suid|dev|exec|atime|diratime)|relatime|strictatime|mode=[0-7]{3,4}|(?:size|nr_blocks|nr_inodes)=\d+[kmgKMG%]?|[ug]id=\d+)$/

/** `type=bind,source=S,target=T,readonly`, docker's long form. @throws USAGE, UNSUPPORTED */
export function parseMount(text: string): ContainerMount {
  const fields = new Map(
    text.split(',').map(field => {
      const equals = field.indexOf('=')
      const key = equals < 0 ? field : field.slice(0, equals)
      return [keyAliases[key] ?? key, equals < 0 ? 'true' : field.slice(equals + 1)] as const
    }),
  )
  const type = fields.get('type') ?? 'volume'
  const keys = keysByType[type]
  if (keys === undefined) throw badValue('--mount', text, 'type is bind, tmpfs or volume')
  for (const key of fields.keys())
    if (key !== 'type' && !keys.includes(key))
      throw badValue(
        '--mount',
        text,
        `"${key}" is no key of type ${type}; it has ${keys.join(', ')}`,
      )
  const destination = destinationOf('--mount', text, fields.get('target') ?? '')
  const readOnly = parseBoolean('--mount readonly', fields.get('readonly') ?? 'false')
  if (type === 'tmpfs')
    return { kind: 'tmpfs', destination, options: tmpfsOptions(fields, readOnly) }
  const source = fields.get('source')
  if (type === 'volume' && source === undefined) return { kind: 'volume', destination, readOnly }
  if (source === undefined) throw badValue('--mount', text, 'a bind mount needs source=PATH')
  return {
    kind: 'bind',
    source: type === 'bind' ? path.resolve(source) : hostPathOf('--mount', source),
    destination,
    readOnly,
    recursive: !parseBoolean(
      '--mount bind-nonrecursive',
      fields.get('bind-nonrecursive') ?? 'false',
    ),
    propagation: propagationOf('--mount', text, fields.get('bind-propagation') ?? 'rprivate'),
    makeSource: false,
  }
}

const keyAliases: Readonly<Record<string, string>> = {
  src: 'source',
  dst: 'target',
  destination: 'target',
  ro: 'readonly',
}

const keysByType: Readonly<Record<string, readonly string[]>> = {
  bind: ['source', 'target', 'readonly', 'bind-propagation', 'bind-nonrecursive'],
  tmpfs: ['target', 'readonly', 'tmpfs-size', 'tmpfs-mode'],
  volume: ['source', 'target', 'readonly'],
}

function tmpfsOptions(fields: ReadonlyMap<string, string>, readOnly: boolean): readonly string[] {
  const size = fields.get('tmpfs-size')
  const mode = fields.get('tmpfs-mode')
  if (mode !== undefined && !/^[0-7]{3,4}$/.test(mode))
    throw badValue('--mount', `tmpfs-mode=${mode}`, 'write an octal mode such as 1777')
  return [
    ...(readOnly ? ['ro'] : []),
    ...(size === undefined ? [] : [`size=${parseBytes('--mount tmpfs-size', size)}`]),
    ...(mode === undefined ? [] : [`mode=${mode}`]),
  ]
}
