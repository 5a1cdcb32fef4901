// Media types of image-spec v1.1.1 media-types.md and of Docker's schema 2.

export const mediaTypes = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layerTar: 'application/vnd.oci.image.layer.v1.tar',
  layerGzip: 'application/vnd.oci.image.layer.v1.tar+gzip',
  layerZstd: 'application/vnd.oci.image.layer.v1.tar+zstd',
  dockerIndex: 'application/vnd.docker.distribution.manifest.list.v2+json',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerConfig: 'application/vnd.docker.container.image.v1+json',
  dockerLayerGzip: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
  dockerLayerTar: 'application/vnd.docker.image.rootfs.diff.tar',
} as const

/** How the bytes of a layer are packed. */
export type Compression = 'none' | 'gzip' | 'zstd'

/** Compression that a layer's media type announces; undefined for types that are no layers. */
export function compressionOf(mediaType: string): Compression | undefined {
  switch (mediaType) {
    case mediaTypes.layerTar:
    case mediaTypes.dockerLayerTar:
      return 'none'
    case mediaTypes.layerGzip:
    case mediaTypes.dockerLayerGzip:
      return 'gzip'
    case mediaTypes.layerZstd:
      return 'zstd'
    default:
      return undefined
  }
}

/** The OCI media type of a layer packed so. */
export function layerMediaType(compression: Compression): string {
  const table = {
    none: mediaTypes.layerTar,
    gzip: mediaTypes.layerGzip,
    zstd: mediaTypes.layerZstd,
  } as const
  return table[compression]
}
