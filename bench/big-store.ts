// A store as a build farm has it after a year: thousands of images, most of them small, and many more blobs.

import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'

export interface BigStoreSize {
  readonly images: number
  /** Blobs of one image: its manifest, its configuration, and layers for the rest. */
  readonly blobsOfEach: number
}

const types = 'application/vnd.oci.image'
const oneDayMs = 86_400_000

/** Writes an image layout below a state directory that is not there yet; image number N is called `bench/app-N:1`. */
export function makeBigStore(dataRoot: string, { images, blobsOfEach }: BigStoreSize): void {
  const root = path.join(dataRoot, 'oci')
  const blobs = path.join(root, 'blobs/sha256')
  mkdirSync(dataRoot, { recursive: true, mode: 0o711 })
  mkdirSync(root, { mode: 0o700 })
  mkdirSync(blobs, { recursive: true })
  const put = (kind: string, text: string): { mediaType: string; digest: string; size: number } => {
    const hex = createHash('sha256').update(text).digest('hex')
    writeFileSync(path.join(blobs, hex), text, { mode: 0o444 })
    return { mediaType: `${types}.${kind}`, digest: `sha256:${hex}`, size: Buffer.byteLength(text) }
  }
  const manifests = []
  for (let number = 0; number < images; number++) {
    const layers = Array.from({ length: blobsOfEach - 2 }, (_, layer) =>
      put('layer.v1.tar', `layer ${layer} of image ${number}`),
    )
    const config = put('config.v1+json', configOf(number, layers))
    const manifest = put(
      'manifest.v1+json',
      JSON.stringify({ schemaVersion: 2, mediaType: `${types}.manifest.v1+json`, config, layers }),
    )
    const annotations = {
      'org.opencontainers.image.ref.name': `docker.io/bench/app-${number}:1`,
    }
    manifests.push({ ...manifest, annotations })
  }
  writeFileSync(path.join(root, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
  const index = { schemaVersion: 2, mediaType: `${types}.index.v1+json`, manifests }
  writeFileSync(path.join(root, 'index.json'), JSON.stringify(index))
}

function configOf(number: number, layers: readonly { readonly digest: string }[]): string {
  return JSON.stringify({
    created: new Date(1_700_000_000_000 + number * oneDayMs).toISOString(),
    architecture: 'amd64',
    os: 'linux',
    config: {
      Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
      Cmd: ['/bin/app'],
      Labels: { number: String(number) },
    },
    rootfs: { type: 'layers', diff_ids: layers.map(({ digest }) => digest) },
    history: layers.map((_, layer) => ({ created_by: `RUN step ${layer}` })),
  })
}
