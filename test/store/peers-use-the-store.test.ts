// Other programs read and write the store while kauri does: it is an image layout like any other.

import { runChecked } from '../../src/core/process.ts'
import { diskStore } from '../../src/store/disk-store.ts'
import { testWith } from '../helpers/needs.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { putNamed, ref } from './small-image.ts'

const env = { PATH: '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin', HOME: '/nonexistent' }
const run = (...command: readonly string[]): Promise<{ stdout: string }> =>
  runChecked(command, { env, what: command.join(' ') })

testWith({ programs: ['skopeo'] })('skopeo copies an image out under its full name', async t => {
  using scratch = makeScratch()
  const store = diskStore(scratch.at('oci'))
  const descriptor = await putNamed(store, 'debian:12')
  await run(
    'skopeo',
    'copy',
    '--preserve-digests',
    `oci:${store.root}:docker.io/library/debian:12`,
    `oci:${scratch.at('copy')}:debian:12`,
  )
  const copied = await diskStore(scratch.at('copy')).findImage(ref('debian:12'))
  t.is(copied?.digest, descriptor.digest)
})

testWith({ programs: ['skopeo'] })('kauri tags while skopeo copies in', async t => {
  using scratch = makeScratch()
  const store = diskStore(scratch.at('oci'))
  const source = diskStore(scratch.at('source'))
  await putNamed(store, 'mine:1')
  await putNamed(source, 'theirs:1')
  await run(
    'skopeo',
    'copy',
    `oci:${source.root}:docker.io/library/theirs:1`,
    `oci:${store.root}:theirs:1`,
  )
  await putNamed(store, 'mine:2')
  t.deepEqual(
    (await store.listImages()).map(({ reference }) => `${reference.repository}:${reference.tag}`),
    ['library/mine:1', 'library/mine:2', 'library/theirs:1'],
  )
})

testWith({ programs: ['umoci'] })('umoci lists, tags and collects, and kauri sees it', async t => {
  using scratch = makeScratch()
  const store = diskStore(scratch.at('oci'))
  const descriptor = await putNamed(store, 'debian:12')
  const name = 'docker.io/library/debian:12'
  const { stdout } = await run('umoci', 'ls', '--layout', store.root)
  t.is(stdout.trim(), name)
  await run('umoci', 'tag', '--image', `${store.root}:${name}`, 'docker.io/library/debian:bookworm')
  await run('umoci', 'gc', '--layout', store.root)
  t.is((await store.findImage(ref('debian:bookworm')))?.digest, descriptor.digest)
})
