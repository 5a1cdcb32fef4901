// Content names: sha256 of bytes (image-spec v1.1.1 descriptor.md#digests). One cast for each brand, in its constructor function.

import { createHash, hash } from 'node:crypto'
import { KauriError } from '../core/errors.ts'

/** `sha256:` and 64 lower-case hexadecimal digits, of a blob as stored. */
export type Digest = string & { readonly __brand: 'Digest' }

/** Digest of a layer's uncompressed tar (image-spec v1.1.1 config.md#layer-diffid). */
export type DiffId = Digest & { readonly __layer: 'DiffId' }

/** Digest of a stack of layers (image-spec v1.1.1 config.md#layer-chainid). */
export type ChainId = Digest & { readonly __stack: 'ChainId' }

const digestForm = /^sha256:[0-9a-f]{64}$/

/** @throws DIGEST_INVALID for any other form or algorithm */
export function parseDigest(text: string): Digest {
  if (!digestForm.test(text))
    throw new KauriError('DIGEST_INVALID', `"${text.slice(0, 100)}" is not a sha256 digest`, {
      hint: 'write sha256: and 64 lower-case hexadecimal digits',
    })
  return text as Digest
}

export function isDigest(text: string): boolean {
  return digestForm.test(text)
}

export function digestOf(bytes: string | Uint8Array): Digest {
  return `sha256:${hash('sha256', bytes, 'hex')}` as Digest
}

/** The 64 digits, which name the blob's file in an image layout. */
export function hexOf(digest: Digest): string {
  return digest.slice('sha256:'.length)
}

export function asDiffId(digest: Digest): DiffId {
  return digest as DiffId
}

/** A digest computed while bytes pass; `digest()` ends it. */
export interface Digester {
  update(bytes: Uint8Array): void
  digest(): Digest
}

export function createDigester(): Digester {
  const sha256 = createHash('sha256')
  return {
    update: bytes => {
      sha256.update(bytes)
    },
    digest: () => `sha256:${sha256.digest('hex')}` as Digest,
  }
}

/** Chain IDs of a stack, bottom first; the last one names the whole stack (config.md#layer-chainid). */
export function chainIdsOf(diffIds: readonly DiffId[]): ChainId[] {
  const chain: ChainId[] = []
  for (const diffId of diffIds) {
    const below = chain.at(-1)
    const digest: Digest = below === undefined ? diffId : digestOf(`${below} ${diffId}`)
    chain.push(digest as ChainId)
  }
  return chain
}
