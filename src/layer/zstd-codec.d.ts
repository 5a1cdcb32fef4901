// The part of the package zstd-codec that is used here; it comes without types.

declare module 'zstd-codec/lib/zstd-codec.js' {
  export interface Zstd {
    readonly Streaming: new () => {
      /** One frame, or null where it fails. */
      compress(bytes: Uint8Array, level: number): Uint8Array | null
    }
  }
  export function run(use: (zstd: Zstd) => void): void
}
