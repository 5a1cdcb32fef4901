// `--build-context NAME=…`: what a name in FROM, COPY --from and RUN --mount stands for instead of an image or a stage.

import { formatPlatform, type Platform } from '../oci/platform.ts'
import { formatFamiliar, parseReference } from '../oci/reference.ts'
import type { LowerOptions, NamedContext } from './lower-options.ts'
import { normalPlatform, parseStagePlatform } from './stage-platform.ts'

/** The context of that name, one for the platform first; `scratch` and `context` never are one. */
export function namedContextOf(
  { namedContexts, buildPlatform }: Pick<LowerOptions, 'namedContexts' | 'buildPlatform'>,
  name: string,
  platform: Platform,
): NamedContext | undefined {
  if (namedContexts.size === 0 || /^(?:scratch|context)$/i.test(name)) return undefined
  const known = new Map(
    Array.from(namedContexts, ([key, context]) => [normalKey(key, buildPlatform), context]),
  )
  const wanted = normalName(name)
  return known.get(`${wanted}::${formatPlatform(normalPlatform(platform))}`) ?? known.get(wanted)
}

/** All forms of an image's name are one name: `docker.io/library/alpine:latest` is `alpine`. */
function normalName(name: string): string {
  try {
    return formatFamiliar(parseReference(name)).replace(/:latest$/, '')
  } catch {
    return name
  }
}

function normalKey(key: string, own: Platform): string {
  const at = key.lastIndexOf('::')
  if (at < 0) return normalName(key)
  const platform = parseStagePlatform(key.slice(at + 2), own)
  return `${normalName(key.slice(0, at))}::${formatPlatform(normalPlatform(platform))}`
}
