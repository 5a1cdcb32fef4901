// The oldest docker-archives, before Docker 1.10: a directory for each layer, named by a random id, with the `json` that
// the layer's build left, `layer.tar` and `VERSION`; `repositories` says which id a tag stands for. Such an image has no
// configuration of its own: it is made from the topmost `json`, and the history from those of the whole chain.

import { canonicalJson } from '../core/canonical-json.ts'
import { KauriError } from '../core/errors.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { type HistoryEntry, parseImageConfig } from '../oci/image-config.ts'
import {
  definedMembers,
  documentPlace,
  listOf,
  mapOf,
  objectReader,
  parseJsonText,
  readMembers,
  readText,
} from '../oci/json-shape.ts'
import { mediaTypes } from '../oci/media-types.ts'
import { hostPlatform, type Platform } from '../oci/platform.ts'
import { parseReference, type Reference } from '../oci/reference.ts'
import { readBlob } from '../store/verified-stream.ts'
import { type LayerOfImage, oneChunk } from './create-image.ts'
import type { LoadWork } from './load-archive.ts'
import { putManifest } from './load-docker-items.ts'
import { loadLayer, requireFile } from './load-layer.ts'

/** An image of such an archive. */
export interface LegacyItem {
  /** Of the topmost layer. */
  readonly id: string
  readonly names: readonly Reference[]
  readonly platform: Platform
}

const idForm = /^([0-9a-f]{64})\/json$/

/** What `json` says of one layer. */
interface LegacyLayer {
  readonly id: string
  readonly parent: string | undefined
  readonly platform: Platform
  readonly history: HistoryEntry
  /** The members that an image's configuration has as well. */
  readonly kept: Readonly<Record<string, unknown>>
}

/** True for an archive of that form. */
export function isLegacyArchive({ contents }: LoadWork): boolean {
  return [...contents.names()].some(name => idForm.test(name))
}

/** The named images, and those that nothing stands on and nobody names. @throws ARCHIVE_INVALID, REFERENCE_INVALID */
export async function readLegacyItems(work: LoadWork): Promise<LegacyItem[]> {
  const layers = new Map<string, LegacyLayer>()
  for (const name of work.contents.names()) {
    const id = idForm.exec(name)?.[1]
    if (id !== undefined) layers.set(id, await readLegacyLayer(id, work))
  }
  const names = await readRepositories(work)
  for (const id of names.keys())
    if (!layers.has(id))
      throw new KauriError('ARCHIVE_INVALID', `repositories names ${id}, which is not there`)
  const parents = new Set([...layers.values()].map(({ parent }) => parent))
  return [...layers.values()]
    .filter(({ id }) => names.has(id) || !parents.has(id))
    .map(({ id, platform }) => ({ id, platform, names: names.get(id) ?? [] }))
}

/** Names by the id of the topmost layer. */
async function readRepositories(work: LoadWork): Promise<Map<string, Reference[]>> {
  const names = new Map<string, Reference[]>()
  if (work.contents.find('repositories') === undefined) return names
  const repositories = await readJson('repositories', work)
  const place = documentPlace('repositories', 'ARCHIVE_INVALID')
  for (const [name, tags] of Object.entries(mapOf(mapOf(readText))(repositories, place)))
    for (const [tag, id] of Object.entries(tags))
      names.set(id, [...(names.get(id) ?? []), parseReference(`${name}:${tag}`)])
  return names
}

async function readJson(name: string, work: LoadWork): Promise<unknown> {
  const file = requireFile(work, name, 'the archive')
  const bytes = await readBlob(work.contents.blobs, { mediaType: 'application/json', ...file })
  return parseJsonText(bytes, documentPlace(name, 'ARCHIVE_INVALID'))
}

const keptMembers = ['author', 'comment', 'config', 'created', 'docker_version', 'variant']

async function readLegacyLayer(id: string, work: LoadWork): Promise<LegacyLayer> {
  const value = await readJson(`${id}/json`, work)
  const place = documentPlace(`${id}/json`, 'ARCHIVE_INVALID')
  const members = objectReader(value, place)
  const all = readMembers(value, place)
  const platform = definedMembers({
    // The first versions of Docker did not say, and ran on one platform.
    os: members.optional('os', readText) ?? 'linux',
    architecture: members.optional('architecture', readText) ?? hostPlatform().architecture,
    variant: members.optional('variant', readText),
  })
  return {
    id,
    parent: members.optional('parent', readText) || undefined,
    platform,
    history: definedMembers({
      created: members.optional('created', readText),
      author: members.optional('author', readText) || undefined,
      created_by: members.optional('container_config', readCommand),
      comment: members.optional('comment', readText) || undefined,
    }),
    kept: {
      ...Object.fromEntries(Object.entries(all).filter(([key]) => keptMembers.includes(key))),
      ...platform,
    },
  }
}

function readCommand(value: unknown, place: Parameters<typeof objectReader>[1]): string {
  return (objectReader(value, place).optional('Cmd', listOf(readText)) ?? []).join(' ')
}

/** Layers that were loaded already, by their ids. */
export type LoadedLegacyLayers = Map<string, LayerOfImage>

/** Packs an image's layers and makes its configuration. The descriptor is that of its manifest. @throws ARCHIVE_INVALID */
export async function loadLegacyItem(
  item: LegacyItem,
  work: LoadWork,
  loaded: LoadedLegacyLayers,
): Promise<Descriptor> {
  const chain = await chainOf(item.id, work)
  const layers: LayerOfImage[] = []
  for (const { id } of chain) {
    const name = `${id}/layer.tar`
    const layer =
      loaded.get(id) ?? (await loadLayer({ name, ...requireFile(work, name, id) }, work))
    loaded.set(id, layer)
    layers.push(layer)
  }
  const bytes = Buffer.from(
    canonicalJson({
      ...chain.at(-1)?.kept,
      history: chain.map(({ history }) => history),
      rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    }),
  )
  parseImageConfig(bytes, `${item.id}/json`)
  const config = { mediaType: mediaTypes.config, ...(await work.batch.put(oneChunk(bytes))) }
  return await putManifest(
    work,
    config,
    layers.map(({ descriptor }) => descriptor),
  )
}

/** The layers of an image, bottom first. @throws ARCHIVE_INVALID where they stand on each other in a circle */
async function chainOf(top: string, work: LoadWork): Promise<LegacyLayer[]> {
  const chain: LegacyLayer[] = []
  for (let id: string | undefined = top; id !== undefined; ) {
    if (chain.some(layer => layer.id === id))
      throw new KauriError('ARCHIVE_INVALID', `the layers below ${top} stand on each other`)
    if (!idForm.test(`${id}/json`))
      throw new KauriError('ARCHIVE_INVALID', `"${id.slice(0, 100)}" is no id of a layer`)
    const layer: LegacyLayer = await readLegacyLayer(id, work)
    chain.unshift(layer)
    id = layer.parent
  }
  return chain
}
