// Which image of an index runs on a platform (image-spec v1.1.1 image-index.md).

import { KauriError } from '../core/errors.ts'
import type { Descriptor } from './descriptor.ts'
import { isIndexType, isManifestType } from './manifest.ts'
import { formatPlatform, matchesPlatform, type Platform } from './platform.ts'

/** The entry for a platform, or the only one where it says none; `digest` names the index. @throws IMAGE_NOT_FOUND */
export function chooseEntry(
  entries: readonly Descriptor[],
  platform: Platform,
  digest: string,
): Descriptor {
  const offers = entries.filter(isImageOffer)
  for (const wanted of [platform, ...olderVariants(platform)]) {
    const chosen = offers.find(offer => offer.platform && matchesPlatform(offer.platform, wanted))
    if (chosen !== undefined) return chosen
  }
  const [only] = offers
  if (only !== undefined && offers.length === 1 && only.platform === undefined) return only
  throw missingPlatform(digest, platform, offers)
}

/** Attestations stand in an index beside the images, with a platform of `unknown`. */
function isImageOffer({ mediaType, platform }: Descriptor): boolean {
  return (isManifestType(mediaType) || isIndexType(mediaType)) && platform?.os !== 'unknown'
}

/** A processor of arm's version 7 runs programs for 6 and 5, too. */
function olderVariants(platform: Platform): Platform[] {
  const version = Number(/^v([5-7])$/.exec(platform.variant ?? 'v7')?.[1] ?? 0)
  if (platform.architecture !== 'arm') return []
  return [6, 5].filter(older => older < version).map(v => ({ ...platform, variant: `v${v}` }))
}

function missingPlatform(
  digest: string,
  platform: Platform,
  offers: readonly Descriptor[],
): KauriError {
  const names = offers.map(offer =>
    offer.platform === undefined ? 'an unnamed platform' : formatPlatform(offer.platform),
  )
  return new KauriError(
    'IMAGE_NOT_FOUND',
    `the image ${digest} has nothing for ${formatPlatform(platform)}`,
    { hint: names.length === 0 ? undefined : `it has ${names.join(', ')}; choose with --platform` },
  )
}
