// Archives for tests: those that programs have written long ago, and stores to load them into.

import { readdirSync } from 'node:fs'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { ignoreEvents } from '../../src/core/events.ts'
import { type LoadedImage, loadArchive } from '../../src/image/load-archive.ts'
import type { Platform } from '../../src/oci/platform.ts'
import { formatFamiliar } from '../../src/oci/reference.ts'
import { type DiskStore, diskStore } from '../../src/store/disk-store.ts'
import { makeScratch, type Scratch } from '../helpers/scratch.ts'
import { inPieces, type RawEntry, tarOf } from '../helpers/tar.ts'
import { smallTar } from './make-image.ts'

export interface Stores extends Disposable {
  readonly scratch: Scratch
  readonly from: DiskStore
  readonly to: DiskStore
}

export function makeStores(): Stores {
  const scratch = makeScratch()
  return {
    scratch,
    from: diskStore(scratch.at('from')),
    to: diskStore(scratch.at('to')),
    [Symbol.dispose]: () => scratch[Symbol.dispose](),
  }
}

export const bytesOf: (source: AsyncIterable<Uint8Array>) => Promise<Buffer> = async source =>
  await buffer(Readable.from(source))

export const load = async (
  store: DiskStore,
  archive: Uint8Array,
  platform?: Platform,
): Promise<LoadedImage[]> =>
  await loadArchive(store, inPieces(archive, 1000), {
    name: 'the archive',
    emit: ignoreEvents,
    platform,
  })

export const namesOf = (images: readonly LoadedImage[]): string[] =>
  images.flatMap(({ names }) => names.map(formatFamiliar)).toSorted()

/** Nothing can be seen, and nothing is left that a sweep would not take. */
export async function isEmpty(store: DiskStore): Promise<boolean> {
  const entries = await store.listEntries()
  return entries.length === 0 && readdirSync(`${store.root}/ingest`).length === 0
}

export const id = (letter: string): string => letter.repeat(64)

export interface OldLayer {
  readonly id: string
  readonly parent?: string
  readonly tar: Buffer | string
  readonly more?: object
}

/** As Docker before 1.10 wrote it. */
export function oldestArchive(layers: readonly OldLayer[], repositories?: object): Buffer {
  const entries = layers.flatMap(({ id: name, parent, tar, more = {} }): RawEntry[] => [
    { name: `${name}/`, type: '5' },
    { name: `${name}/VERSION`, body: '1.0' },
    {
      name: `${name}/json`,
      body: JSON.stringify({
        id: name,
        ...(parent === undefined ? {} : { parent }),
        created: '2014-01-02T03:04:05Z',
        container_config: { Cmd: ['/bin/sh', '-c', `make ${name.slice(0, 1)}`] },
        architecture: 'amd64',
        os: 'linux',
        Size: 5,
        ...more,
      }),
    },
    typeof tar === 'string'
      ? { name: `${name}/layer.tar`, type: '2', link: tar }
      : { name: `${name}/layer.tar`, body: tar },
  ])
  const names = { name: 'repositories', body: JSON.stringify(repositories) }
  return tarOf(...entries, ...(repositories === undefined ? [] : [names]))
}

export const oldLayers: readonly OldLayer[] = [
  { id: id('a'), tar: smallTar('a') },
  { id: id('b'), parent: id('a'), tar: smallTar('b') },
  {
    id: id('c'),
    parent: id('b'),
    tar: `../${id('a')}/layer.tar`,
    more: {
      config: { Cmd: ['x'], Env: null },
      author: 'me',
      comment: 'last',
      docker_version: '0.9',
    },
  },
]

/** @throws where there is none: the test cannot go on */
export function defined<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('nothing there')
  return value
}
