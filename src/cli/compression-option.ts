// How layers are packed, as options write it: `zstd`, `gzip:9`.

import type { KauriError } from '../core/errors.ts'
import type { LayerCompression } from '../layer/layer.ts'
import { badValue } from './option-values.ts'

const codecs = ['zstd', 'gzip', 'none', 'zstd-codec'] as const
const highestLevel = { zstd: 19, gzip: 9, none: 0, 'zstd-codec': 19 } as const

/** `CODEC[:LEVEL]`. @throws USAGE */
export function parseCompression(text: string): LayerCompression {
  const [codec = '', level, ...rest] = text.split(':')
  if (rest.length > 0) throw badCompression(text)
  return compressionOf(codec, level)
}

/** The same from two words; `uncompressed` is BuildKit's word for none. @throws USAGE */
export function compressionOf(name: string, levelText: string | undefined): LayerCompression {
  const codec = name === 'uncompressed' ? 'none' : codecs.find(one => one === name)
  const level = levelText === undefined ? undefined : Number(levelText)
  const isLevel = level === undefined || (Number.isInteger(level) && level >= 1)
  if (codec === undefined || !isLevel || (level ?? 0) > highestLevel[codec])
    throw badCompression(levelText === undefined ? name : `${name}:${levelText}`)
  return level === undefined ? { codec } : { codec, level }
}

function badCompression(text: string): KauriError {
  return badValue(
    '--compression',
    text,
    'write zstd, gzip, none or zstd-codec; zstd:1 to zstd:19 and gzip:1 to gzip:9 choose a level',
  )
}
