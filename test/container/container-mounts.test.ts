import { existsSync } from 'node:fs'
import test from 'ava'
import type { ContainerMount } from '../../src/container/container.ts'
import { mountsOf, prepareMounts } from '../../src/container/container-mounts.ts'
import { makeScratch } from '../helpers/scratch.ts'

const tmpfs = (destination: string): ContainerMount => ({ kind: 'tmpfs', destination, options: [] })

test('volumes of the image are added where the caller has nothing, dots taken out', t => {
  const config = { Volumes: { '/data': {}, '/own/': {}, 'srv/../log': {}, '/': {}, '/../x': {} } }
  t.deepEqual(mountsOf(config, [tmpfs('/own')]), [
    tmpfs('/own'),
    ...['/data', '/log', '/x'].map(destination => ({
      kind: 'volume' as const,
      destination,
      readOnly: false,
    })),
  ])
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
  const work = { tree: undefined, directory: scratch.path, signal: undefined }
  await t.throwsAsync(prepareMounts([bind('a', false)], work), { code: 'USAGE', message: /\/a/ })
  const [mount] = await prepareMounts([bind('b/c', true)], work)
  t.true(existsSync(scratch.at('b/c')))
  t.deepEqual(mount, {
    destination: '/x',
    type: 'bind',
    source: scratch.at('b/c'),
    options: ['rbind', 'rslave', 'ro'],
  })
})
