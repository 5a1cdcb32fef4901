// What people say of an image in an index.

import { KauriError } from '../core/errors.ts'
import type { ImageNote } from '../image/edit-index.ts'
import type { OptionSpec, ParsedOptions } from './command.ts'

export const noteOptions: readonly OptionSpec[] = [
  { long: 'os', value: 'OS', summary: 'Operating system of its platform' },
  { long: 'arch', value: 'ARCHITECTURE', summary: 'Architecture of its platform' },
  { long: 'variant', value: 'VARIANT', summary: 'Variant of its architecture, such as v8' },
  { long: 'os-version', value: 'VERSION', summary: 'Version of its operating system' },
  { long: 'os-features', value: 'FEATURE', repeat: true, summary: 'What it needs of the system' },
  { long: 'annotation', value: 'NAME=VALUE', repeat: true, summary: 'Annotation of its entry' },
]

/** Undefined where nothing is said. @throws USAGE */
export function noteOf(options: ParsedOptions): ImageNote | undefined {
  const features = options.texts('os-features')
  const platform = Object.fromEntries(
    [
      ['os', options.text('os')],
      ['architecture', options.text('arch')],
      ['variant', options.text('variant')],
      ['os.version', options.text('os-version')],
      ['os.features', features.length === 0 ? undefined : features],
    ].filter(([, value]) => value !== undefined),
  )
  const annotations = annotationsOf(options)
  const isSilent = Object.keys(platform).length + Object.keys(annotations).length === 0
  return isSilent ? undefined : { platform, annotations }
}

/** What `--annotation` says. @throws USAGE */
export function annotationsOf(options: ParsedOptions): Readonly<Record<string, string>> {
  return Object.fromEntries(options.texts('annotation').map(splitAnnotation))
}

function splitAnnotation(text: string): readonly [string, string] {
  const equals = text.indexOf('=')
  if (equals > 0) return [text.slice(0, equals), text.slice(equals + 1)]
  throw new KauriError('USAGE', `--annotation takes NAME=VALUE, not "${text}"`)
}
