import test from 'ava'
import { parseImageConfig } from '../../src/oci/image-config.ts'
import { parseIndex, parseManifest } from '../../src/oci/manifest.ts'

const digest = `sha256:${'a'.repeat(64)}`
const layer = { mediaType: 'application/vnd.oci.image.layer.v1.tar+zstd', digest, size: 10 }
const config = { mediaType: 'application/vnd.oci.image.config.v1+json', digest, size: 7 }
const manifest = { schemaVersion: 2, config, layers: [layer] }
const bytes = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value))

test('a manifest is read; without a media type it is an OCI one', t => {
  const parsed = parseManifest(bytes(manifest), 'm')
  t.is(parsed.mediaType, 'application/vnd.oci.image.manifest.v1+json')
  t.deepEqual(parsed.layers, [layer] as never)
})

test('a manifest of an image without layers may say null', t => {
  t.deepEqual(parseManifest(bytes({ ...manifest, layers: null }), 'm').layers, [])
})

const wrongManifests: readonly [string, unknown, RegExp][] = [
  ['a list', [], /expected an object/],
  ['without config', { schemaVersion: 2, layers: [] }, /config: expected an object, got nothing/],
  [
    'with both layers and manifests (CVE-2021-41190)',
    { ...manifest, manifests: [] },
    /two different things/,
  ],
  [
    'that calls itself an index (CVE-2021-41190)',
    { ...manifest, mediaType: 'application/vnd.oci.image.index.v1+json' },
    /two different things/,
  ],
  ['of schema 1', { ...manifest, schemaVersion: 1 }, /schema version 1/],
  ['of schema 3', { ...manifest, schemaVersion: 3 }, /schemaVersion 2/],
  ['with a negative size', { ...manifest, layers: [{ ...layer, size: -1 }] }, /layers\[0\]\.size/],
  [
    'with a size beyond what numbers hold',
    { ...manifest, layers: [{ ...layer, size: 1e300 }] },
    /layers\[0\]\.size/,
  ],
  [
    'with a digest that is a path',
    { ...manifest, config: { ...config, digest: 'sha256:../../../etc/passwd' } },
    /config\.digest/,
  ],
  [
    'with an upper-case digest',
    { ...manifest, config: { ...config, digest: digest.toUpperCase() } },
    /config\.digest/,
  ],
  [
    'with a media type that breaks lines',
    { ...manifest, config: { ...config, mediaType: 'a/b\nc' } },
    /media type/,
  ],
]
for (const [name, value, message] of wrongManifests)
  test(`a manifest ${name} is refused`, t => {
    t.throws(() => parseManifest(bytes(value), 'm'), { message })
  })

test('an index is read, with platforms', t => {
  const entry = { ...config, platform: { os: 'linux', architecture: 'arm64', variant: 'v8' } }
  const index = parseIndex(bytes({ schemaVersion: 2, manifests: [entry] }), 'i')
  t.deepEqual(index.manifests, [entry] as never)
})

test('an index that could be a manifest is refused (CVE-2021-41190)', t => {
  const mediaType = 'application/vnd.docker.distribution.manifest.v2+json'
  for (const ambiguous of [{ layers: [layer] }, { mediaType }])
    t.throws(() => parseIndex(bytes({ schemaVersion: 2, manifests: [], ...ambiguous }), 'i'), {
      message: /two different things/,
    })
})

test("a configuration keeps Docker's members and takes Go's nulls for nothing", t => {
  const parsed = parseImageConfig(
    bytes({
      architecture: 'amd64',
      os: 'linux',
      config: {
        Cmd: ['sh'],
        Entrypoint: null,
        Volumes: null,
        ExposedPorts: { '80/tcp': {} },
        Healthcheck: { Test: ['CMD', 'true'], Interval: 3e9 },
        OnBuild: ['RUN true'],
        ArgsEscaped: true,
      },
      rootfs: { type: 'layers', diff_ids: [digest] },
      history: [{ created: '2024-01-01T00:00:00Z', empty_layer: true }],
    }),
    'c',
  )
  t.deepEqual(parsed.config, {
    Cmd: ['sh'],
    ExposedPorts: { '80/tcp': {} },
    Healthcheck: { Test: ['CMD', 'true'], Interval: 3e9 },
    OnBuild: ['RUN true'],
    ArgsEscaped: true,
  })
  t.deepEqual(parsed.rootfs.diff_ids, [digest] as never)
})

const wrongConfigs: readonly [string, unknown, RegExp][] = [
  ['without os', { architecture: 'amd64', rootfs: { diff_ids: [] } }, /os: expected a string/],
  ['without rootfs', { architecture: 'amd64', os: 'linux' }, /rootfs/],
  [
    'with an environment of numbers',
    { architecture: 'a', os: 'l', rootfs: {}, config: { Env: [1] } },
    /config\.Env\[0\]/,
  ],
  [
    'with labels that are a list',
    { architecture: 'a', os: 'l', rootfs: {}, config: { Labels: [] } },
    /config\.Labels/,
  ],
]
for (const [name, value, message] of wrongConfigs)
  test(`a configuration ${name} is refused`, t => {
    t.throws(() => parseImageConfig(bytes(value), 'c'), { code: 'ARCHIVE_INVALID', message })
  })
