// --cache-from and --cache-to in docker buildx's forms, and --annotation.

import path from 'node:path'
import type { CacheSource, CacheTarget, ImageAnnotation } from '../build/build-plans.ts'
import { KauriError } from '../core/errors.ts'
import { parseDigest } from '../oci/digest.ts'
import { parsePlatform } from '../oci/platform.ts'
import { parseReference } from '../oci/reference.ts'
import { csvFields, type OptionFields, readFields } from './build-fields.ts'
import { badValue } from './option-values.ts'

/** `NAME`, `type=registry,ref=NAME`, `type=local,src=DIR`. @throws USAGE, UNSUPPORTED */
export function readCacheSource(text: string): CacheSource {
  const option = '--cache-from'
  const fields = cacheFields(option, text)
  if (typeof fields === 'string') return { kind: 'registry', reference: parseReference(fields) }
  const type = fields.take('type')
  const source = cacheSourceOf(type, fields, text)
  fields.end()
  return source
}

function cacheSourceOf(type: string | undefined, fields: OptionFields, text: string): CacheSource {
  if (type === 'local') {
    const directory = fields.take('src')
    const digest = fields.take('digest')
    const tag = fields.take('tag')
    if (directory === undefined) throw badValue('--cache-from', text, 'name it with src=DIR')
    return {
      kind: 'local',
      directory: path.resolve(directory),
      ...(digest === undefined ? {} : { digest: parseDigest(digest) }),
      ...(tag === undefined ? {} : { tag }),
    }
  }
  if (type === 'registry') return { kind: 'registry', reference: referenceOf(fields, text) }
  throw otherCache('--cache-from', text, type)
}

/** `NAME`, `type=registry,ref=NAME[,mode=max]`, `type=local,dest=DIR[,mode=max]`, `type=inline`. @throws USAGE, UNSUPPORTED */
export function readCacheTarget(text: string): CacheTarget {
  const fields = cacheFields('--cache-to', text)
  const minimal = { mode: 'min', ignoresErrors: false, cacheMounts: false } as const
  if (typeof fields === 'string')
    return { kind: 'registry', reference: parseReference(fields), ...minimal }
  const type = fields.take('type')
  const mode = fields.take('mode') ?? 'min'
  if (mode !== 'min' && mode !== 'max') throw badValue('--cache-to', text, 'mode is min or max')
  const common = {
    mode,
    ignoresErrors: fields.takeBoolean('ignore-error') ?? false,
    cacheMounts: fields.takeBoolean('cache-mounts') ?? mode === 'max',
  } as const
  const target = cacheTargetOf(type, fields, text)
  refuseForms(fields)
  fields.end()
  return { ...target, ...common }
}

type Target = CacheTarget extends infer T
  ? T extends CacheTarget
    ? Omit<T, 'mode' | 'ignoresErrors' | 'cacheMounts'>
    : never
  : never

function cacheTargetOf(type: string | undefined, fields: OptionFields, text: string): Target {
  switch (type ?? '') {
    case 'inline':
      return { kind: 'inline' }
    case 'registry':
      return { kind: 'registry', reference: referenceOf(fields, text) }
    case 'local': {
      const directory = fields.take('dest')
      const tag = fields.take('tag')
      if (directory === undefined) throw badValue('--cache-to', text, 'name it with dest=DIR')
      return {
        kind: 'local',
        directory: path.resolve(directory),
        ...(tag === undefined ? {} : { tag }),
      }
    }
    default:
      throw otherCache('--cache-to', text, type)
  }
}

/** What buildx lets people choose and kauri has one way for. */
function refuseForms(fields: OptionFields): void {
  for (const key of ['oci-mediatypes', 'image-manifest'])
    if (fields.takeBoolean(key) === false)
      throw new KauriError('UNSUPPORTED', `--cache-to: kauri's caches have ${key}=true`)
}

function cacheFields(option: string, text: string): OptionFields | string {
  const words = csvFields(option, text)
  const [only = ''] = words
  return words.length === 1 && !only.includes('=') ? only : readFields(option, text)
}

function referenceOf(fields: OptionFields, text: string): ReturnType<typeof parseReference> {
  const name = fields.take('ref')
  if (name === undefined) throw badValue('a registry cache', text, 'name it with ref=NAME')
  return parseReference(name)
}

function otherCache(option: string, text: string, type: string | undefined): KauriError {
  if (type === undefined) return badValue(option, text, `type required for "${text}"`)
  const known = option === '--cache-to' ? 'local, registry and inline' : 'local and registry'
  return new KauriError('UNSUPPORTED', `${option} has no type ${type}`, {
    hint: `there are ${known}`,
  })
}

const annotated = ['manifest', 'manifest-descriptor', 'index', 'index-descriptor'] as const

/** `KEY=VALUE`, `TYPE:KEY=VALUE`, `TYPE[PLATFORM],TYPE:KEY=VALUE`. @throws USAGE */
export function readAnnotations(texts: readonly string[]): ImageAnnotation[] {
  return texts.filter(Boolean).flatMap(readAnnotation)
}

function readAnnotation(text: string): ImageAnnotation[] {
  const equals = text.indexOf('=')
  if (equals <= 0) throw badValue('--annotation', text, 'write KEY=VALUE')
  const name = text.slice(0, equals)
  const value = text.slice(equals + 1)
  const colon = name.indexOf(':')
  const key = name.slice(colon + 1)
  if (colon < 0) return [{ on: 'manifest', key, value }]
  return name
    .slice(0, colon)
    .split(',')
    .map(word => {
      const [, type, platform] = /^([a-z-]+)(?:\[([\w/-]+)\])?$/.exec(word) ?? []
      const on = annotated.find(one => one === type)
      if (on === undefined)
        throw badValue('--annotation', text, `write one of ${annotated.join(', ')} before the ":"`)
      return {
        on,
        key,
        value,
        ...(platform === undefined ? {} : { platform: parsePlatform(platform) }),
      }
    })
}
