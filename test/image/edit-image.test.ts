// Images made from others without a build.

import test from 'ava'
import { type ImageParts, imageDocuments } from '../../src/image/create-image.ts'
import { appendLayer, rebase, reconfigure, squashed } from '../../src/image/edit-image.ts'
import { asDiffId, digestOf } from '../../src/oci/digest.ts'
import { mediaTypes } from '../../src/oci/media-types.ts'

const layerOf = (name: string): ImageParts['layers'][number] => ({
  descriptor: { mediaType: mediaTypes.layerGzip, digest: digestOf(`blob ${name}`), size: 1 },
  diffId: asDiffId(digestOf(name)),
})

const imageOf = (...names: readonly string[]): ImageParts => ({
  config: {
    os: 'linux',
    architecture: 'amd64',
    config: { Env: ['A=1'] },
    history: names.flatMap(name => [
      { created_by: name },
      { created_by: `ENV ${name}`, empty_layer: true },
    ]),
  },
  layers: names.map(layerOf),
})

const edit = { created: '2020-01-01T00:00:00Z', createdBy: 'test' }
const makers = ({ config }: ImageParts): unknown[] =>
  (config.history ?? []).map(entry => entry.created_by)
const diffIds = ({ layers }: ImageParts): unknown[] => layers.map(({ diffId }) => diffId)

test('a change of the configuration adds an empty line of history and no layer', t => {
  const image = reconfigure(imageOf('a'), config => ({ ...config, User: 'app' }), edit)
  t.deepEqual(image.config.config, { Env: ['A=1'], User: 'app' })
  t.deepEqual(makers(image), ['a', 'ENV a', 'test'])
  t.is(imageDocuments(image).config.value.rootfs.diff_ids.length, 1)
})

test('an appended layer stands on top, with a line of its own', t => {
  const image = appendLayer(imageOf('a'), layerOf('b'), edit)
  t.deepEqual(diffIds(image), [layerOf('a').diffId, layerOf('b').diffId])
  t.notThrows(() => imageDocuments(image))
})

test('a rebase keeps what stands on the old base, and its history, on the new one', t => {
  const image = rebase(imageOf('old', 'app', 'more'), imageOf('old'), imageOf('new', 'newer'))
  t.deepEqual(
    diffIds(image),
    ['new', 'newer', 'app', 'more'].map(name => layerOf(name).diffId),
  )
  t.deepEqual(makers(image), [
    'new',
    'ENV new',
    'newer',
    'ENV newer',
    'app',
    'ENV app',
    'more',
    'ENV more',
  ])
  t.notThrows(() => imageDocuments(image))
})

test('a rebase from what is not the base is refused, and so is one onto another platform', t => {
  const image = imageOf('old', 'app')
  t.throws(() => rebase(image, imageOf('other'), imageOf('new')), { code: 'USAGE' })
  const arm: ImageParts = { ...imageOf('new'), config: { os: 'linux', architecture: 'arm64' } }
  t.throws(() => rebase(image, imageOf('old'), arm), { code: 'USAGE' })
})

test('a squash leaves the layers below and one for all above', t => {
  const image = squashed(imageOf('a', 'b', 'c'), layerOf('bc'), { keep: 1, edit })
  t.deepEqual(diffIds(image), [layerOf('a').diffId, layerOf('bc').diffId])
  t.deepEqual(makers(image), ['a', 'test'])
  const whole = squashed(imageOf('a', 'b'), layerOf('ab'), { keep: 0, edit })
  t.deepEqual(makers(whole), ['test'])
  t.notThrows(() => imageDocuments(whole))
})
