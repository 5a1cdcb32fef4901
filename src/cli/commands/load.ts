// `kauri load`: images from the archives of docker, podman, buildkit and skopeo, or from an OCI layout.

import { createReadStream, statSync } from 'node:fs'
import { KauriError } from '../../core/errors.ts'
import { type LoadedImage, type LoadOptions, loadArchive } from '../../image/load-archive.ts'
import { parsePlatform } from '../../oci/platform.ts'
import { formatFamiliar, formatReference } from '../../oci/reference.ts'
import type { DiskStore } from '../../store/disk-store.ts'
import type { CommandInput, CommandSpec } from '../command.ts'
import { openStore } from '../open-store.ts'
import { standardInput } from '../standard-input.ts'

export const command: CommandSpec = {
  name: 'load',
  summary: 'Load images from an archive',
  operands: '[FILE|DIRECTORY]',
  maxOperands: 1,
  details: [
    'Takes docker and OCI archives, plain or packed with gzip, bzip2, xz or zstd, OCI layout directories, and those that skopeo calls dir and podman docker-dir. Reads standard input where no file is named.',
  ],
  options: [
    { long: 'input', short: 'i', value: 'FILE', summary: 'Read this file, not standard input' },
    {
      long: 'platform',
      value: 'PLATFORM',
      summary: 'Load only the images for this platform, and of an index only that one',
    },
  ],
  run: runLoad,
}

async function runLoad({ options, positionals, context }: CommandInput): Promise<number> {
  const [operand] = positionals
  const option = options.text('input')
  if (operand !== undefined && option !== undefined)
    throw new KauriError('USAGE', `both ${option} and ${operand} are named`, {
      hint: 'name one file',
    })
  const platform = options.text('platform')
  const images = await loadFrom(openStore(context), operand ?? option ?? '-', {
    platform: platform === undefined ? undefined : parsePlatform(platform),
    signal: context.signal,
    emit: context.emit,
  })
  for (const { names, descriptor } of images) {
    for (const name of names) context.print(`Loaded image: ${formatFamiliar(name)}`)
    if (names.length === 0) context.print(`Loaded image ID: ${descriptor.digest}`)
  }
  context.printJson(
    images.map(({ descriptor, names }) => ({
      digest: descriptor.digest,
      references: names.map(formatReference),
    })),
  )
  return 0
}

async function loadFrom(
  store: DiskStore,
  file: string,
  options: Omit<LoadOptions, 'name'> & { readonly signal: AbortSignal },
): Promise<LoadedImage[]> {
  if (file === '-') {
    const { bytes } = standardInput(options.signal, 'name a file with -i, or pipe an archive in')
    return await loadArchive(store, bytes, { ...options, name: 'standard input' })
  }
  const found = statSync(file, { throwIfNoEntry: false })
  if (found === undefined) throw new KauriError('FILE_NOT_FOUND', `there is no file ${file}`)
  if (found.isDirectory()) {
    const { loadDirectory } = await import('../../image/load-directory.ts')
    return await loadDirectory(store, file, { ...options, name: file })
  }
  const bytes = createReadStream(file, { highWaterMark: 1024 * 1024 })
  const totalBytes = found.isFile() ? found.size : undefined
  return await loadArchive(store, bytes, { ...options, name: file, totalBytes })
}
