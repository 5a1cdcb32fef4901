// Follows every image of a store to its last layer, and looks at the names themselves.

import { statSync } from 'node:fs'
import { KauriError } from '../core/errors.ts'
import { cancelled } from '../core/process.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { type Digest, hexOf } from '../oci/digest.ts'
import { formatFamiliar, type Reference } from '../oci/reference.ts'
import { type Child, childrenOf } from './children.ts'
import type { DiskStore } from './disk-store.ts'
import { nameKey } from './image-names.ts'
import { type LayoutEntry, writtenName } from './layout-index.ts'
import { type StoreFinding, storeFinding } from './store-finding.ts'

/** A blob that images need and that is not there, or not what it should be. */
export interface LostBlob {
  readonly descriptor: Descriptor
  /** In words, such as `is missing`. */
  readonly trouble: string
  /** The images that need it: as people write them, and as they are in the index. */
  readonly images: Map<string, { readonly descriptor: Descriptor; readonly reference?: Reference }>
}

export interface ImagesRead {
  readonly lost: ReadonlyMap<Digest, LostBlob>
  /** About documents that say what cannot be. */
  readonly findings: readonly StoreFinding[]
  /** Images by the hex of every blob that they need. */
  readonly users: ReadonlyMap<string, readonly string[]>
}

interface Walk {
  readonly store: DiskStore
  readonly damaged: ReadonlyMap<string, string>
  readonly signal: AbortSignal | undefined
  readonly lost: Map<Digest, LostBlob>
  readonly findings: StoreFinding[]
  readonly users: Map<string, string[]>
}

/** Everything that images refer to is there, has the size that is said, and was not found damaged. @throws CANCELLED */
export async function checkImages(
  store: DiskStore,
  entries: readonly LayoutEntry[],
  how: Pick<Walk, 'damaged' | 'signal'>,
): Promise<ImagesRead> {
  const walk: Walk = { store, ...how, lost: new Map(), findings: [], users: new Map() }
  for (const { descriptor, reference } of entries)
    if (descriptor !== undefined) await checkImage(walk, descriptor, reference)
  return walk
}

async function checkImage(
  walk: Walk,
  root: Descriptor,
  reference: Reference | undefined,
): Promise<void> {
  const name = reference === undefined ? root.digest : formatFamiliar(reference)
  const seen = new Set<string>()
  const waiting: Child[] = [{ descriptor: root, optional: false }]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (walk.signal?.aborted) throw cancelled(walk.signal)
    const { descriptor, optional } = next
    if (seen.has(descriptor.digest)) continue
    seen.add(descriptor.digest)
    noteUser(walk, descriptor, name)
    const trouble = troubleOf(walk, descriptor)
    if (trouble === 'is missing' && optional) continue
    if (trouble === undefined) waiting.push(...(await children(walk, descriptor, name)))
    else {
      const lost = walk.lost.get(descriptor.digest) ?? { descriptor, trouble, images: new Map() }
      lost.images.set(name, { descriptor: root, ...(reference === undefined ? {} : { reference }) })
      walk.lost.set(descriptor.digest, lost)
    }
  }
}

function noteUser({ users }: Walk, { digest }: Descriptor, name: string): void {
  const names = users.get(hexOf(digest)) ?? []
  names.push(name)
  users.set(hexOf(digest), names)
}

function troubleOf({ store, damaged }: Walk, { digest, size }: Descriptor): string | undefined {
  if (damaged.has(hexOf(digest))) return 'is damaged'
  const found = statSync(store.blobPath(digest), { throwIfNoEntry: false })
  if (found === undefined) return 'is missing'
  return found.size === size ? undefined : `has ${found.size} bytes, not ${size}`
}

async function children(
  { store, findings }: Walk,
  descriptor: Descriptor,
  name: string,
): Promise<readonly Child[]> {
  try {
    return await childrenOf(store, descriptor)
  } catch (error) {
    if (!(error instanceof KauriError)) throw error
    findings.push(
      storeFinding({
        rule: 'image-incomplete',
        subject: name,
        message: error.message,
        images: [name],
        hint: `kauri rmi ${name}, and make or get it again`,
      }),
    )
    return []
  }
}

/** Names that nobody can use, or that stand for two images. */
export function checkNames(entries: readonly LayoutEntry[], indexFile: string): StoreFinding[] {
  const findings: StoreFinding[] = []
  const taken = new Map<string, Digest>()
  for (const entry of entries) {
    const { descriptor, reference, raw } = entry
    const name = writtenName(entry)
    if (descriptor === undefined)
      findings.push(
        storeFinding({
          rule: 'entry-foreign',
          severity: 'note',
          subject: indexFile,
          message: `has an entry that only its maker can read: ${JSON.stringify(raw).slice(0, 200)}`,
        }),
      )
    else if (reference === undefined && name !== undefined)
      findings.push(
        storeFinding({
          rule: 'name-invalid',
          severity: 'note',
          subject: JSON.stringify(name.slice(0, 300)),
          message: `is no name of an image, so ${descriptor.digest} is found by its digest alone`,
          images: [descriptor.digest],
          hint: `give it a name: kauri tag ${descriptor.digest} NAME`,
        }),
      )
    if (descriptor === undefined || reference === undefined) continue
    const other = taken.get(nameKey(reference))
    if (other === undefined) taken.set(nameKey(reference), descriptor.digest)
    else findings.push(twice(reference, other, descriptor.digest))
  }
  return findings
}

function twice(reference: Reference, first: Digest, second: Digest): StoreFinding {
  const name = formatFamiliar(reference)
  return storeFinding({
    rule: 'name-twice',
    subject: name,
    message: `stands for ${first} and for ${second}; the first one is found`,
    images: [first, second],
    hint: `say which one it is: kauri tag DIGEST ${name}`,
  })
}
