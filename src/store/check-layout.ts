// The files of the image layout itself: its marker, its index, and the rights on them. An index that is lost is made again
// from the manifests that are found; their names are lost with it.

import { lstatSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { namesIn } from '../core/directory-names.ts'
import { hasErrno, KauriError } from '../core/errors.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { digestOf, hexOf, parseDigest } from '../oci/digest.ts'
import { isIndexType, parseIndex, parseManifest } from '../oci/manifest.ts'
import { checkModes } from './check-blobs.ts'
import type { DiskStore } from './disk-store.ts'
import { readLayoutIndex } from './layout-index.ts'
import { layoutMarker } from './layout-lock.ts'
import type { LayoutPaths } from './layout-paths.ts'
import { type StoreFinding, storeFinding } from './store-finding.ts'

/** True for a directory that holds, or held, an image layout. */
export function isStore(paths: LayoutPaths): boolean {
  return (
    [paths.marker, paths.index].some(file => lstatSync(file, { throwIfNoEntry: false })) ||
    namesIn(paths.blobs).length > 0
  )
}

/** Looks at marker, index and rights; with `repair` makes good what is wrong. @throws LOCK_BUSY */
export async function checkLayout(
  store: DiskStore,
  paths: LayoutPaths,
  { repair }: { readonly repair: boolean },
): Promise<StoreFinding[]> {
  return [
    ...checkMarker(paths, repair),
    ...checkDirectories(paths, repair),
    ...(await checkIndex(store, paths, repair)),
  ]
}

function checkMarker({ marker }: LayoutPaths, repair: boolean): StoreFinding[] {
  const trouble = markerTrouble(marker)
  if (trouble === undefined) return []
  if (repair) writeFileSync(marker, layoutMarker)
  const hint = 'let kauri fsck --rebuild write it'
  return [
    storeFinding({
      rule: 'layout-file',
      subject: marker,
      message: trouble,
      hint,
      repaired: repair,
    }),
  ]
}

function markerTrouble(marker: string): string | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(marker, 'utf8'))
    const isMarker = typeof value === 'object' && value !== null && 'imageLayoutVersion' in value
    return isMarker ? undefined : 'does not say which version of the layout this is'
  } catch (error) {
    if (error instanceof SyntaxError) return 'is not JSON'
    if (hasErrno(error, 'ENOENT')) return 'is missing: other programs see no image layout here'
    throw error
  }
}

function checkDirectories({ root, blobs, index }: LayoutPaths, repair: boolean): StoreFinding[] {
  const wanted = new Map([
    [root, 0o700],
    [path.dirname(blobs), 0o755],
    [blobs, 0o755],
    [index, 0o644],
  ])
  return [...wanted].flatMap(([file, mode]) => {
    const found = lstatSync(file, { throwIfNoEntry: false })
    return found === undefined ? [] : checkModes(file, found, { wanted: mode, repair })
  })
}

async function checkIndex(
  store: DiskStore,
  paths: LayoutPaths,
  repair: boolean,
): Promise<StoreFinding[]> {
  const hint = 'put back a copy of it, or let kauri fsck --rebuild list the images that it finds'
  const isMissing = lstatSync(paths.index, { throwIfNoEntry: false }) === undefined
  const trouble = isMissing ? undefined : await unreadable(paths)
  if (!isMissing && trouble === undefined) return []
  if (isMissing && namesIn(paths.blobs).length === 0) return []
  const adopted = repair ? await remakeIndex(store, paths) : undefined
  const told = adopted === undefined ? '' : `; ${adopted} images were found, and have no names`
  return [
    storeFinding({
      rule: isMissing ? 'index-missing' : 'index-unreadable',
      subject: paths.index,
      message: `${trouble ?? 'is missing, but there are blobs'}${told}`,
      hint,
      repaired: repair,
    }),
  ]
}

async function unreadable(paths: LayoutPaths): Promise<string | undefined> {
  try {
    await readLayoutIndex(paths)
    return undefined
  } catch (error) {
    if (error instanceof KauriError && error.code === 'STORE_INVALID') return error.message
    throw error
  }
}

/** The broken file is kept; tells how many images were found that no other one is part of. */
async function remakeIndex(store: DiskStore, paths: LayoutPaths): Promise<number> {
  const broken = lstatSync(paths.index, { throwIfNoEntry: false })
  if (broken !== undefined) {
    const directory = path.join(paths.root, 'damaged')
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    renameSync(paths.index, path.join(directory, `index-${Math.round(broken.mtimeMs)}.json`))
  }
  writeFileSync(paths.index, '{"schemaVersion":2,"manifests":[]}', { flag: 'wx', mode: 0o644 })
  let adopted = 0
  for (const descriptor of rootDocuments(paths)) if (await adopt(store, descriptor)) adopted++
  return adopted
}

async function adopt(store: DiskStore, descriptor: Descriptor): Promise<boolean> {
  try {
    await store.keepImage(descriptor)
    return true
  } catch (error) {
    // Its layers are gone, so it is no image any more.
    if (error instanceof KauriError && error.code !== 'LOCK_BUSY') return false
    throw error
  }
}

const largestDocument = 4 * 1024 * 1024

/** Manifests and indexes among the blobs that no index among them lists. */
function rootDocuments({ blobs }: LayoutPaths): Descriptor[] {
  const found = new Map<string, Descriptor>()
  const listed = new Set<string>()
  for (const name of readdirSync(blobs).filter(each => /^[0-9a-f]{64}$/.test(each))) {
    const file = path.join(blobs, name)
    if ((lstatSync(file, { throwIfNoEntry: false })?.size ?? Infinity) > largestDocument) continue
    const bytes = readFileSync(file)
    const mediaType = documentType(bytes)
    if (mediaType === undefined || hexOf(digestOf(bytes)) !== name) continue
    const digest = parseDigest(`sha256:${name}`)
    found.set(name, { mediaType, digest, size: bytes.byteLength })
    if (isIndexType(mediaType))
      for (const child of parseIndex(bytes, name).manifests) listed.add(hexOf(child.digest))
  }
  return [...found].filter(([name]) => !listed.has(name)).map(([, descriptor]) => descriptor)
}

/** What a document must have to be one. */
const documentKinds = [
  { parse: parseManifest, member: '"config"' },
  { parse: parseIndex, member: '"manifests"' },
] as const

function documentType(bytes: Buffer): string | undefined {
  for (const { parse, member } of documentKinds)
    try {
      if (bytes.includes(member)) return parse(bytes, 'a blob').mediaType
    } catch (error) {
      if (!(error instanceof KauriError)) throw error
    }
  return undefined
}
