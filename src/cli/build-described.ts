// `kauri build` of a directory that holds a description: what `system build` does, in the words of `build`.

import { openScratchDirectory } from '../build/scratch-directory.ts'
import { KauriError } from '../core/errors.ts'
import { parseReference } from '../oci/reference.ts'
import { buildDescription } from './build-description.ts'
import { buildOptions, optionsForDescriptions } from './build-options.ts'
import type { CommandContext, ParsedOptions } from './command.ts'
import { requireRoot } from './host-needs.ts'

/** Builds; without --target-dir only the image in the store stays. @throws USAGE for options that only Dockerfiles have */
export async function buildDescribed(
  directory: string,
  options: ParsedOptions,
  context: CommandContext,
): Promise<number> {
  requireRoot('building an image')
  refuseOthers(options)
  const names = options.texts('tag').map(parseReference)
  const named = options.text('target-dir')
  if (named !== undefined)
    return await buildDescription(asSystemBuild(directory, named, options), context, names)
  await using scratch = await openScratchDirectory(context.dataRoot)
  return await buildDescription(asSystemBuild(directory, scratch.path, options), context, names)
}

function refuseOthers(options: ParsedOptions): void {
  for (const { long, value } of buildOptions) {
    if (optionsForDescriptions.has(long)) continue
    const isGiven = value === undefined ? options.flag(long) : options.texts(long).length > 0
    if (isGiven)
      throw new KauriError('USAGE', `--${long} is for Dockerfiles`, {
        hint: 'the directory holds a description; see kauri system build --help for its options',
      })
  }
}

/** The options of `system build`; those that `build` does not have were not given. */
function asSystemBuild(
  directory: string,
  targetDirectory: string,
  options: ParsedOptions,
): ParsedOptions {
  const texts = new Map<string, readonly string[]>([
    ['description', [directory]],
    ['target-dir', [targetDirectory]],
    ['add-container-label', options.texts('label')],
    ...['profile', 'type', 'compression', 'source-date-epoch', 'network'].map(
      (long): [string, readonly string[]] => [long, options.texts(long)],
    ),
  ])
  const flags = new Set(['no-cache', 'offline'].filter(long => options.flag(long)))
  const text = (long: string): string | undefined => texts.get(long)?.at(-1)
  return {
    flag: long => flags.has(long),
    text,
    requiredText: long => text(long) ?? '',
    texts: long => texts.get(long) ?? [],
  }
}
