// State that one writer at a time replaces, who holds a lock: readers see the old text or the new one. Nothing waits for the
// disk, for such state is worth nothing after a crash of the machine; what must outlast one is written by writeFileAtomic.

import { renameSync, writeFileSync } from 'node:fs'

/** Puts a text in a file's place; what a killed writer left beside it, `FILE.new`, the next one overwrites. */
export function replaceFile(file: string, text: string, mode = 0o600): void {
  writeFileSync(`${file}.new`, text, { mode })
  renameSync(`${file}.new`, file)
}
