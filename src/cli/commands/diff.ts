// `kauri diff`: in what two images differ, or what a container changed.

import type { ImageDifference } from '../../image/compare-images.ts'
import { getImage } from '../../image/find-image.ts'
import { openImage } from '../../image/open-image.ts'
import { parsePlatform } from '../../oci/platform.ts'
import type { CommandSpec } from '../command.ts'
import { humanSize } from '../human-units.ts'
import { openStore } from '../open-store.ts'
import { printable } from '../printable.ts'

export const command: CommandSpec = {
  name: 'diff',
  summary: 'Show in what two images differ, or what a container changed',
  details: [
    'Of a container a line for each file: A for an added one, C for a changed one, D for a deleted one.',
    'Of two images a line for each file: A for one that only the second image has, D for one that only the first has, C for a changed one with what differs. Times are not compared; xattrs are, and ACLs with them. Packages are read from the databases of dpkg, rpm, apk and pacman. With --json each file has what it was and what it is.',
  ],
  operands: 'CONTAINER | A B',
  minOperands: 1,
  maxOperands: 2,
  options: [{ long: 'platform', value: 'PLATFORM', summary: 'Take this platform of the images' }],
  async run(input) {
    const { options, positionals, context } = input
    if (positionals.length === 1) {
      const { diffContainer } = await import('../container-changes.ts')
      return await diffContainer(input)
    }
    const store = openStore(context)
    const platform = options.text('platform')
    const wanted = platform === undefined ? undefined : parsePlatform(platform)
    const open = async (name = '') =>
      await openImage(store, (await getImage(store, name)).descriptor, wanted)
    const [a, b] = [await open(positionals[0]), await open(positionals[1])]
    const { compareImages } = await import('../../image/compare-images.ts')
    const difference = await compareImages(a, b, context.signal)
    for (const line of formatDifference(difference)) context.print(line)
    for (const message of difference.unread) context.emit({ kind: 'warning', message })
    context.printJson(difference)
    return 0
  },
}

const letters = { added: 'A', removed: 'D', changed: 'C' } as const

function more(amount: number): string {
  return amount === 0 ? '' : ` (${amount > 0 ? '+' : '-'}${humanSize(Math.abs(amount))})`
}

function formatDifference({ files, packages, config, bytes }: ImageDifference): string[] {
  return [
    ...files.map(({ path, change, differs, bytes: amount }) => {
      const what = differs.length === 0 ? '' : ` ${differs.join(',')}`
      return `${letters[change]} ${printable(path)}${what}${more(amount)}`
    }),
    ...packages.map(({ name, from, to }) => `package ${name} ${from ?? 'none'} -> ${to ?? 'none'}`),
    ...config.map(
      ({ member, from, to }) =>
        `config ${member} ${JSON.stringify(from) ?? 'none'} -> ${JSON.stringify(to) ?? 'none'}`,
    ),
    `${files.length} files differ; ${humanSize(bytes[0])} -> ${humanSize(bytes[1])}`,
  ]
}
