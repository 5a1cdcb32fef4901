// `kauri build`: an image from a Dockerfile, or from a description where there is no Dockerfile.

import { buildOptions } from '../build-options.ts'
import type { CommandSpec } from '../command.ts'

export const command: CommandSpec = {
  name: 'build',
  summary: 'Build an image from a Dockerfile',
  operands: 'CONTEXT',
  minOperands: 1,
  maxOperands: 1,
  details: [
    'CONTEXT is a directory, a tar file, a git repository (URL#REF:DIR), an http or https address of a tar or a Dockerfile, or - for a tar or a Dockerfile on standard input. Options have the meaning that docker build and docker buildx give them. Prints the digest of the image.',
    'A directory that has no Dockerfile but a KIWI description is built as kauri system build does; -t, --label and the options that say so apply to it.',
  ],
  options: buildOptions,
  progressLines: 'numbered',
  run: async ({ options, positionals, context }) => {
    const [word = ''] = positionals
    const { isDescribed } = await import('../is-described.ts')
    if (isDescribed(word, options)) {
      const { buildDescribed } = await import('../build-described.ts')
      return await buildDescribed(word, options, context)
    }
    const { buildDockerfile } = await import('../build-dockerfile.ts')
    return await buildDockerfile(word, options, context)
  },
}
