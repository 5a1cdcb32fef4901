import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import test from 'ava'
import { prepareMounts } from '../../src/container/container-mounts.ts'
import type { VolumeMount } from '../../src/container/mount-request.ts'
import { removeAnonymousVolumes, usersOf, volumesOf } from '../../src/container/volume-use.ts'
import { checkVolumeOptions, openVolumes, volumeSource } from '../../src/container/volumes.ts'
import { makeScratch } from '../helpers/scratch.ts'

const unused = (): boolean => false

test('a volume is made once, found by its name, listed, and gone when it is removed', async t => {
  using scratch = makeScratch()
  const volumes = openVolumes(scratch.at('volumes'))
  t.deepEqual(volumes.list(), [])
  const made = await volumes.make({ name: 'data', labels: { a: 'b' } })
  writeFileSync(path.join(made.directory, 'file'), 'text')
  const again = await volumes.make({ name: 'data', labels: { other: 'x' } })
  t.deepEqual(again, made)
  t.is(readFileSync(path.join(again.directory, 'file'), 'utf8'), 'text')
  t.deepEqual(openVolumes(scratch.at('volumes')).list(), [made])
  t.is(statSync(path.dirname(made.directory)).mode & 0o077, 0)
  t.false(await volumes.remove('data', () => true))
  t.true(existsSync(made.directory))
  t.true(await volumes.remove('data', unused))
  t.false(existsSync(made.directory))
  t.throws(() => volumes.get('data'), { code: 'VOLUME_NOT_FOUND' })
  t.true(await volumes.remove('data', unused))
})

for (const name of ['', 'a', '.a', '-ab', 'a/b', '../x', 'a b', 'a\0b', 'é1', 'x'.repeat(256)])
  test(`${JSON.stringify(name).slice(0, 20)} is no name of a volume`, async t => {
    using scratch = makeScratch()
    await t.throwsAsync(openVolumes(scratch.path).make({ name }), { code: 'USAGE' })
    t.is(openVolumes(scratch.path).find(name), undefined)
  })

test('a volume that would be another one is refused', async t => {
  using scratch = makeScratch()
  const volumes = openVolumes(scratch.path)
  const options = { type: 'tmpfs', device: 'tmpfs', o: 'size=1m' }
  await volumes.make({ name: 'fast', options })
  t.like(await volumes.make({ name: 'fast' }), { options })
  await t.throwsAsync(volumes.make({ name: 'fast', options: { ...options, o: 'size=2m' } }), {
    code: 'NAME_IN_USE',
  })
})

test('what a volume stands for', async t => {
  using scratch = makeScratch()
  const volumes = openVolumes(scratch.at('v'))
  const plain = await volumes.make({ name: 'plain' })
  t.deepEqual(volumeSource(plain), { kind: 'directory', path: plain.directory, options: [] })
  const options = { type: 'none', device: scratch.path, o: 'bind,ro' }
  const bound = await volumes.make({ name: 'bound', options })
  t.deepEqual(volumeSource(bound), { kind: 'directory', path: scratch.path, options: ['ro'] })
  const memory = { type: 'tmpfs', device: 'tmpfs', o: 'size=1m,uid=5' }
  t.deepEqual(volumeSource(await volumes.make({ name: 'memory', options: memory })), {
    kind: 'filesystem',
    type: 'tmpfs',
    device: 'tmpfs',
    options: ['size=1m', 'uid=5'],
  })
  const gone = { type: 'none', device: scratch.at('gone'), o: 'bind' }
  const lost = await volumes.make({ name: 'lost', options: gone })
  t.throws(() => volumeSource(lost), { code: 'USAGE', message: /gone/ })
})

for (const options of [
  { colour: 'red' },
  { size: '1g', device: 'tmpfs', type: 'tmpfs' },
  { type: 'tmpfs' },
  { type: 'none', o: 'bind', device: 'relative' },
])
  test(`options ${JSON.stringify(options)} are refused`, t => {
    t.throws(() => checkVolumeOptions(options), { instanceOf: Error })
  })

test('a record that was cut short loses no files', async t => {
  using scratch = makeScratch()
  const { directory } = await openVolumes(scratch.path).make({ name: 'data' })
  writeFileSync(path.join(directory, 'file'), 'text')
  writeFileSync(path.join(path.dirname(directory), 'volume.json'), '{"na')
  t.like(openVolumes(scratch.path).find('data'), { name: 'data', directory, anonymous: false })
})

test('what a removal left half done the next one ends', async t => {
  using scratch = makeScratch()
  const volumes = openVolumes(scratch.path)
  mkdirSync(scratch.at('.removed-old/_data'), { recursive: true })
  await volumes.make({ name: 'data' })
  t.is(volumes.list().length, 1)
  await volumes.remove('data', unused)
  t.false(existsSync(scratch.at('.removed-old')))
})

const mount: VolumeMount = {
  kind: 'volume',
  name: 'data',
  anonymous: false,
  destination: '/d',
  readOnly: false,
  copy: false,
}

test('volumes are in use by whose record names them; a container’s own go with it', async t => {
  using scratch = makeScratch()
  const volumes = openVolumes(scratch.path)
  const own = { ...mount, name: 'f'.repeat(64), anonymous: true }
  const record = { id: 'one', volumes: volumesOf([mount, own]) }
  await prepareMounts([mount, own], { tree: undefined, volumes, signal: undefined })
  t.deepEqual(usersOf('data', [record]), ['one'])
  t.deepEqual(usersOf('other', [record]), [])
  await removeAnonymousVolumes(volumes, record, () => [{ ...record, id: 'two' }])
  t.is(volumes.list().length, 2)
  await removeAnonymousVolumes(volumes, record, () => [])
  t.deepEqual(
    volumes.list().map(({ name }) => name),
    ['data'],
  )
})

test('a part of a volume is mounted by a path that is resolved in the volume', async t => {
  using scratch = makeScratch()
  const volumes = openVolumes(scratch.path)
  const { directory } = await volumes.make({ name: 'data' })
  mkdirSync(path.join(directory, 'a'))
  writeFileSync(path.join(directory, 'a/file'), '')
  const work = { tree: undefined, volumes, signal: undefined }
  const part = async (subpath: string): Promise<unknown> =>
    (await prepareMounts([{ ...mount, subpath }], work))[0]?.tree
  t.deepEqual(await part('a'), { kind: 'directory', lower: [directory] })
  t.deepEqual(await part('a/file'), { kind: 'file', lower: [directory] })
  await t.throwsAsync(part('b'), { code: 'USAGE', message: /no b in the volume data/ })
})
