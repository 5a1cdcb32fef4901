// What can be wrong with a store, in one form for people and programs.

/** Rules by what they are about; see docs/store.md. */
export type FindingRule =
  | 'layout-file'
  | 'index-unreadable'
  | 'index-missing'
  | 'blob-damaged'
  | 'blob-name'
  | 'permission'
  | 'image-incomplete'
  | 'name-invalid'
  | 'name-twice'
  | 'entry-foreign'
  | 'record-dangling'

/** One thing that is wrong. */
export interface StoreFinding {
  readonly rule: FindingRule
  /** `note`: nobody need do anything. */
  readonly severity: 'error' | 'note'
  /** A digest, a file or an image's name. */
  readonly subject: string
  readonly message: string
  /** Names of the images that it concerns, or their digests. */
  readonly images: readonly string[]
  /** What to do, imperative, no full stop. */
  readonly hint?: string
  readonly repaired: boolean
}

type NewFinding = Pick<StoreFinding, 'rule' | 'subject' | 'message'> & Partial<StoreFinding>

/** An error that concerns no image and is not repaired, but for what is said. */
export function storeFinding(finding: NewFinding): StoreFinding {
  return { severity: 'error', images: [], repaired: false, ...finding }
}
