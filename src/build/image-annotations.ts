// Which of the annotations that a caller asks for go onto one of the image's documents.

import { formatPlatform, type Platform } from '../oci/platform.ts'
import type { ImageAnnotation } from './build-plans.ts'

/** The annotations of one document; none as no member. */
export function annotationsFor(
  annotations: readonly ImageAnnotation[],
  on: ImageAnnotation['on'],
  platform: Platform | undefined,
): { readonly annotations?: Readonly<Record<string, string>> } {
  const fitting = annotations.filter(
    one =>
      one.on === on &&
      (one.platform === undefined ||
        platform === undefined ||
        formatPlatform(one.platform) === formatPlatform(platform)),
  )
  if (fitting.length === 0) return {}
  return { annotations: Object.fromEntries(fitting.map(({ key, value }) => [key, value])) }
}
