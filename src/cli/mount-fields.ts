// --mount: docker's long form, `type=bind,source=S,target=T,readonly`, whose fields are a line of a CSV file.

import path from 'node:path'
import type {
  BindMount,
  ContainerMount,
  IdMapping,
  IdRange,
  TmpfsMount,
  VolumeMount,
} from '../container/mount-request.ts'
import {
  anyBind,
  anyVolume,
  mountDestination,
  mountPropagation,
  tmpfsWord,
  volumeName,
} from './mount-options.ts'
import { badValue, parseBoolean, parseBytes, parseLabels } from './option-values.ts'

/** @throws USAGE, UNSUPPORTED */
export function parseMount(text: string): ContainerMount {
  const fields = fieldsOf(text)
  const type = fields.get('type')?.at(-1) ?? 'volume'
  const keys = keysByType[type]
  if (keys === undefined) throw badValue('--mount', text, 'type is bind, tmpfs or volume')
  for (const key of fields.keys())
    if (key !== 'type' && !keys.includes(key))
      throw badValue(
        '--mount',
        text,
        `"${key}" is no key of type ${type}; it has ${keys.join(', ')}`,
      )
  const destination = mountDestination('--mount', text, fields.get('target')?.at(-1) ?? '')
  const mount: MountFields = { text, destination, all: fields }
  if (type === 'tmpfs') return tmpfsOf(mount)
  return type === 'bind' ? bindOf(mount) : volumeOf(mount)
}

interface MountFields {
  readonly text: string
  readonly destination: string
  /** Values by key, in order. */
  readonly all: ReadonlyMap<string, readonly string[]>
}

function fieldsOf(text: string): ReadonlyMap<string, readonly string[]> {
  const fields = new Map<string, string[]>()
  for (const field of splitFields(text)) {
    const equals = field.indexOf('=')
    const word = equals < 0 ? field : field.slice(0, equals)
    const key = keyAliases[word.toLowerCase()] ?? word.toLowerCase()
    const value = equals < 0 ? (wordsAlone[key] ?? '') : field.slice(equals + 1)
    fields.set(key, [...(fields.get(key) ?? []), value])
  }
  return fields
}

/** A field that begins with a quote goes to the next single one; two of them stand for one. @throws USAGE */
function splitFields(text: string): readonly string[] {
  if (!/^(?:"(?:[^"]|"")*"|[^",][^",]*|)(?:,(?:"(?:[^"]|"")*"|[^",]*))*$/.test(text))
    throw badValue('--mount', text, 'a field with a comma or a quote stands in quotes as a whole')
  return [...text.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^",]*))/g)].map(
    ([, quoted, plain = '']) => quoted?.replaceAll('""', '"') ?? plain,
  )
}

const keyAliases: Readonly<Record<string, string>> = {
  src: 'source',
  dst: 'target',
  destination: 'target',
  ro: 'readonly',
  rro: 'bind-recursive',
}

/** What a key means that stands without a value. */
const wordsAlone: Readonly<Record<string, string>> = {
  readonly: 'true',
  'volume-nocopy': 'true',
  'bind-nonrecursive': 'true',
  'bind-create-src': 'true',
  'bind-recursive': 'readonly',
}

const keysByType: Readonly<Record<string, readonly string[]>> = {
  bind: [
    'source',
    'target',
    'readonly',
    'bind-propagation',
    'bind-nonrecursive',
    'bind-recursive',
    'bind-create-src',
    'idmap',
  ],
  tmpfs: ['target', 'readonly', 'tmpfs-size', 'tmpfs-mode', 'tmpfs-options'],
  volume: [
    'source',
    'target',
    'readonly',
    'volume-nocopy',
    'volume-subpath',
    'volume-label',
    'volume-driver',
    'volume-opt',
    'idmap',
  ],
}

function last({ all }: MountFields, key: string): string | undefined {
  return all.get(key)?.at(-1)
}

function isOn(fields: MountFields, key: string): boolean {
  return parseBoolean(`--mount ${key}`, last(fields, key) ?? 'false')
}

function bindOf(fields: MountFields): BindMount {
  const source = last(fields, 'source') ?? ''
  if (source === '') throw badValue('--mount', fields.text, 'a bind mount needs source=PATH')
  const propagation = last(fields, 'bind-propagation') ?? 'rprivate'
  const below = last(fields, 'bind-recursive') ?? 'enabled'
  if (!['enabled', 'disabled', 'writable', 'readonly'].includes(below))
    throw badValue(
      '--mount',
      `bind-recursive=${below}`,
      'write enabled, disabled, writable or readonly',
    )
  const readOnly = isOn(fields, 'readonly')
  if (below === 'readonly' && !readOnly && last(fields, 'readonly') !== undefined)
    throw badValue('--mount', fields.text, 'what is below cannot be read-only alone')
  return {
    ...anyBind,
    source: path.resolve(source),
    destination: fields.destination,
    readOnly: readOnly || below === 'readonly',
    ...(below === 'writable' ? { writableBelow: true } : {}),
    recursive: below !== 'disabled' && !isOn(fields, 'bind-nonrecursive'),
    propagation: mountPropagation('--mount', fields.text, propagation),
    makeSource: isOn(fields, 'bind-create-src'),
    ...mappingOf(fields),
  }
}

function tmpfsOf(fields: MountFields): TmpfsMount {
  const size = last(fields, 'tmpfs-size')
  const mode = last(fields, 'tmpfs-mode')
  if (mode !== undefined && !/^[0-7]{3,4}$/.test(mode))
    throw badValue('--mount', `tmpfs-mode=${mode}`, 'write an octal mode such as 1777')
  const words = (fields.all.get('tmpfs-options') ?? []).flatMap(text => text.split(/[;,]/))
  for (const word of words)
    if (!tmpfsWord.test(word))
      throw badValue('--mount', `tmpfs-options=${word}`, 'it is no option of a tmpfs')
  return {
    kind: 'tmpfs',
    destination: fields.destination,
    options: [
      ...(isOn(fields, 'readonly') ? ['ro'] : []),
      ...(size === undefined ? [] : [`size=${parseBytes('--mount tmpfs-size', size)}`]),
      ...(mode === undefined ? [] : [`mode=${mode}`]),
      ...words,
    ],
  }
}

function volumeOf(fields: MountFields): VolumeMount {
  const source = last(fields, 'source') ?? ''
  const driver = last(fields, 'volume-driver') ?? 'local'
  if (driver !== 'local' && driver !== '')
    throw badValue('--mount', `volume-driver=${driver}`, 'there is one driver, local')
  const subpath = last(fields, 'volume-subpath')
  if (subpath !== undefined && !isInside(subpath))
    throw badValue('--mount', `volume-subpath=${subpath}`, 'write a path in the volume without ..')
  const labels = parseLabels('--mount volume-label', fields.all.get('volume-label') ?? [])
  const options = parseLabels('--mount volume-opt', fields.all.get('volume-opt') ?? [])
  const isNamed = source !== ''
  return {
    ...anyVolume,
    destination: fields.destination,
    ...(isNamed ? { name: volumeName('--mount source', source), anonymous: false } : {}),
    readOnly: isOn(fields, 'readonly'),
    copy: !isOn(fields, 'volume-nocopy'),
    ...(subpath === undefined ? {} : { subpath: path.posix.normalize(subpath) }),
    ...(fields.all.has('volume-label') ? { labels } : {}),
    ...(fields.all.has('volume-opt') ? { options } : {}),
    ...mappingOf(fields),
  }
}

function isInside(subpath: string): boolean {
  return subpath !== '' && !subpath.startsWith('/') && !subpath.split('/').includes('..')
}

/** `idmap=uids=0-100000-65536;gids=0-100000-65536`: id in the file system, id as it is seen, count; `#` between ranges. */
function mappingOf(fields: MountFields): { readonly idMapping?: IdMapping } {
  const text = last(fields, 'idmap')
  if (text === undefined) return {}
  const parts = new Map(
    text.split(';').map(part => {
      const equals = part.indexOf('=')
      return [part.slice(0, equals), part.slice(equals + 1)] as const
    }),
  )
  const [uids, gids] = ['uids', 'gids'].map(key => rangesOf(parts.get(key)))
  if (parts.size !== 2 || uids === undefined || gids === undefined)
    throw badValue(
      '--mount',
      `idmap=${text}`,
      'write idmap=uids=FILEID-SEENID-COUNT;gids=FILEID-SEENID-COUNT, with # between ranges',
    )
  return { idMapping: { uids, gids } }
}

function rangesOf(text: string | undefined): readonly IdRange[] | undefined {
  const ranges = (text ?? '').split('#').map(range => {
    const [, containerId, hostId, size] = /^(\d{1,10})-(\d{1,10})-(\d{1,10})$/.exec(range) ?? []
    return { containerId: Number(containerId), hostId: Number(hostId), size: Number(size) }
  })
  const isWhole = ranges.every(
    ({ containerId, hostId, size }) =>
      size >= 1 && containerId + size <= 0xffff_ffff && hostId + size <= 0xffff_ffff,
  )
  return isWhole ? ranges : undefined
}
