// In what two images differ: files, configuration and packages.

import { canonicalJson } from '../core/canonical-json.ts'
import type { Image } from './image.ts'
import {
  differences,
  type FileDifference,
  type ImageTree,
  type ListedFile,
  listImage,
} from './layer-listing.ts'
import { type PackageList, packageDatabase } from './package-list.ts'

export interface FileChange {
  /** Absolute. */
  readonly path: string
  readonly change: 'added' | 'removed' | 'changed'
  /** Of a changed file. */
  readonly differs: readonly FileDifference[]
  /** Bytes that the second image has more, negative where it has fewer. */
  readonly bytes: number
}

export interface PackageChange {
  readonly name: string
  readonly from: string | undefined
  readonly to: string | undefined
}

export interface ConfigChange {
  /** A member of the configuration, such as `Env` or `architecture`. */
  readonly member: string
  readonly from: unknown
  readonly to: unknown
}

export interface ImageDifference {
  readonly files: readonly FileChange[]
  readonly packages: readonly PackageChange[]
  readonly config: readonly ConfigChange[]
  /** Bytes of all files, of each image. */
  readonly bytes: readonly [number, number]
}

/** Reads both images once. @throws BLOB_CORRUPT, ARCHIVE_INVALID */
export async function compareImages(
  from: Image,
  to: Image,
  signal?: AbortSignal,
): Promise<ImageDifference> {
  const before = await readImage(from, signal)
  const after = await readImage(to, signal)
  return {
    files: compareTrees(before.tree, after.tree),
    packages: comparePackages(before.packages, after.packages),
    config: compareConfigs(from, to),
    bytes: [bytesOf(before.tree), bytesOf(after.tree)],
  }
}

interface ReadImage {
  readonly tree: ImageTree
  readonly packages: PackageList
}

async function readImage(image: Image, signal: AbortSignal | undefined): Promise<ReadImage> {
  const byDatabase = new Map<string, PackageList>()
  const tree = await listImage(image, {
    signal,
    keepContent(path) {
      const parse = packageDatabase(path)
      return parse && (content => void byDatabase.set(path, parse(content.toString('utf8'))))
    },
  })
  const there = [...byDatabase].filter(([path]) => tree.has(path))
  return { tree, packages: new Map(there.flatMap(([, packages]) => [...packages])) }
}

function compareTrees(before: ImageTree, after: ImageTree): FileChange[] {
  const paths = [...new Set([...before.keys(), ...after.keys()])].filter(path => path !== '.')
  return paths.toSorted().flatMap((path): FileChange[] => {
    const change = compareFiles(before.get(path), after.get(path))
    return change === undefined ? [] : [{ path: `/${path}`, ...change }]
  })
}

function compareFiles(
  a: ListedFile | undefined,
  b: ListedFile | undefined,
): Omit<FileChange, 'path'> | undefined {
  const bytes = (b?.sizeBytes ?? 0) - (a?.sizeBytes ?? 0)
  if (a === undefined) return { change: 'added', differs: [], bytes }
  if (b === undefined) return { change: 'removed', differs: [], bytes }
  const differs = differences(a, b)
  return differs.length === 0 ? undefined : { change: 'changed', differs, bytes }
}

function comparePackages(before: PackageList, after: PackageList): PackageChange[] {
  const names = [...new Set([...before.keys(), ...after.keys()])].toSorted()
  return names
    .map(name => ({ name, from: before.get(name), to: after.get(name) }))
    .filter(({ from, to }) => from !== to)
}

function compareConfigs(from: Image, to: Image): ConfigChange[] {
  const [before, after] = [configMembers(from), configMembers(to)]
  const members = [...new Set([...Object.keys(before), ...Object.keys(after)])].toSorted()
  return members
    .map(member => ({ member, from: before[member], to: after[member] }))
    .filter(change => textOf(change.from) !== textOf(change.to))
}

function configMembers({ config }: Image): Record<string, unknown> {
  const { os, architecture, variant, author } = config
  return { os, architecture, variant, author, ...config.config }
}

function textOf(value: unknown): string {
  return value === undefined ? '' : canonicalJson(JSON.parse(JSON.stringify(value)))
}

function bytesOf(tree: ImageTree): number {
  let bytes = 0
  for (const { sizeBytes } of tree.values()) bytes += sizeBytes
  return bytes
}
