// `kauri system build`: from a description to an image in the store and the result files in a directory.

import type { CommandSpec } from '../command.ts'
import { buildOptions, descriptionOptions, repositoryTuple } from '../description-options.ts'
import { requireRoot } from '../host-needs.ts'

export const command: CommandSpec = {
  name: 'system build',
  summary: 'Build an image from a description',
  details: [
    'Installs the packages, runs the scripts and packs the result. The image goes into the store under the names of its <containerconfig>, the result files into the target directory. What an earlier build made of the same inputs is used again.',
    `--set-repo and --add-repo take ${repositoryTuple}; fields at the end may be left out.`,
    'Prints the digest of the image; for the type tbz, which is no image, the path of the archive.',
  ],
  options: [
    { long: 'description', value: 'DIR', required: true, summary: 'Directory of the description' },
    { long: 'target-dir', value: 'DIR', required: true, summary: 'Where the result files go' },
    ...descriptionOptions,
    ...buildOptions,
    { long: 'no-cache', summary: 'Carry out every step again' },
    {
      long: 'layers',
      value: 'HOW',
      choices: ['single', 'phases'],
      summary: 'One layer, or one for each phase of the build (default: single)',
    },
    {
      long: 'compression',
      value: 'CODEC[:LEVEL]',
      summary:
        'Of layers in the store: zstd (default), gzip, none, or zstd-codec, whose bytes never change',
    },
    {
      long: 'outer-compression',
      value: 'CODEC',
      choices: ['none', 'gzip', 'xz', 'zstd'],
      summary: 'Of the result file (default: none; for tbz: xz)',
    },
    {
      long: 'keep-root',
      summary: 'Leave the root file system in build/image-root below the target directory',
    },
  ],
  run: async ({ options, context }) => {
    requireRoot('building an image')
    const { buildDescription } = await import('../build-description.ts')
    return await buildDescription(options, context)
  },
}
