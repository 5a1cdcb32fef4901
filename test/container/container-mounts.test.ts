import { existsSync } from 'node:fs'
import test from 'ava'
import { mountsOf, prepareMounts } from '../../src/container/container-mounts.ts'
import type { ContainerMount } from '../../src/container/mount-request.ts'
import { openVolumes } from '../../src/container/volumes.ts'
import { makeScratch } from '../helpers/scratch.ts'

const tmpfs = (destination: string): ContainerMount => ({ kind: 'tmpfs', destination, options: [] })

test('volumes of the image are added where the caller has nothing, dots taken out', t => {
  const config = { Volumes: { '/data': {}, '/own/': {}, 'srv/../log': {}, '/': {}, '/../x': {} } }
  const [first, ...volumes] = mountsOf(config, [tmpfs('/own')])
  t.deepEqual(first, tmpfs('/own'))
  const own = { kind: 'volume', anonymous: true, readOnly: false, copy: true }
  for (const [index, destination] of ['/data', '/log', '/x'].entries())
    t.like(volumes[index], { ...own, destination })
  const names = volumes.map(mount => (mount.kind === 'volume' ? mount.name : undefined))
  t.is(new Set(names).size, 3)
  for (const name of names) t.regex(name ?? '', /^[0-9a-f]{64}$/)
})

test('two mounts for one place are refused', t => {
  t.throws(() => mountsOf({}, [tmpfs('/a'), tmpfs('/a')]), { code: 'USAGE', message: /\/a/ })
})

test('bind sources are made only where that was asked for', async t => {
  using scratch = makeScratch()
  const bind = (name: string, makeSource: boolean): ContainerMount => ({
    kind: 'bind',
    source: scratch.at(name),
    destination: '/x',
    readOnly: true,
    recursive: true,
    propagation: 'rslave',
    makeSource,
  })
  const volumes = openVolumes(scratch.at('volumes'))
  const work = { tree: undefined, volumes, signal: undefined }
  await t.throwsAsync(prepareMounts([bind('a', false)], work), { code: 'USAGE', message: /\/a/ })
  const [mount] = await prepareMounts([bind('b/c', true)], work)
  t.true(existsSync(scratch.at('b/c')))
  t.deepEqual(mount, {
    destination: '/x',
    type: 'bind',
    source: scratch.at('b/c'),
    options: ['rbind', 'rslave', 'rro'],
  })
})
