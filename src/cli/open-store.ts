// The image store of a command: below the state directory.

import path from 'node:path'
import { type DiskStore, diskStore } from '../store/disk-store.ts'

/** Reads nothing yet. */
export function openStore({ dataRoot }: { readonly dataRoot: string }): DiskStore {
  return diskStore(path.join(dataRoot, 'oci'))
}
