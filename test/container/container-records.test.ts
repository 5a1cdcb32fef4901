import { existsSync, mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import test from 'ava'
import { newContainerId } from '../../src/container/container-name.ts'
import {
  createContainer,
  getContainer,
  listContainers,
  type NewContainer,
  removeContainer,
  sweepContainers,
} from '../../src/container/container-records.ts'
import { makeScratch } from '../helpers/scratch.ts'

function asked(more: Partial<NewContainer> = {}): NewContainer {
  return {
    id: newContainerId(),
    imageName: 'small',
    imageDigest: 'sha256:0',
    command: ['sh'],
    createdMs: 1000,
    labels: { a: 'b' },
    ports: [],
    volumes: [],
    removeAfter: false,
    ...more,
  }
}

const end = { exitCode: 3, outOfMemory: false, finishedMs: 2000 }

test('a container runs until it is ended, and its record says how', async t => {
  using scratch = makeScratch()
  using container = await createContainer(scratch.path, asked({ name: 'one' }))
  const { record } = container
  t.deepEqual(listContainers(scratch.path), [{ ...record, status: 'running' }])
  t.throws(() => removeContainer(scratch.path, record), { code: 'LOCK_BUSY' })
  container.end(end)
  t.deepEqual(listContainers(scratch.path), [{ ...record, status: 'exited', end }])
  removeContainer(scratch.path, record)
  t.deepEqual(readdirSync(scratch.path), ['.names'])
  t.deepEqual(readdirSync(scratch.at('.names')), [])
})

test('CVE-2021-41091: no other user reaches the volumes of a container', async t => {
  using scratch = makeScratch()
  using container = await createContainer(scratch.path, asked())
  t.is(statSync(container.directory).mode & 0o7777, 0o700)
})

test('a container that is disposed before its end leaves nothing', async t => {
  using scratch = makeScratch()
  const container = await createContainer(scratch.path, asked())
  container[Symbol.dispose]()
  container[Symbol.dispose]()
  t.deepEqual(readdirSync(scratch.path), ['.names'])
  t.deepEqual(readdirSync(scratch.at('.names')), [])
})

test('a name is given once, and free again when its container is gone', async t => {
  using scratch = makeScratch()
  const first = await createContainer(scratch.path, asked({ name: 'one' }))
  await t.throwsAsync(createContainer(scratch.path, asked({ name: 'one' })), {
    code: 'NAME_IN_USE',
    message: new RegExp(first.record.id.slice(0, 12)),
  })
  t.is(listContainers(scratch.path).length, 1)
  first[Symbol.dispose]()
  using second = await createContainer(scratch.path, asked({ name: 'one' }))
  t.is(second.record.name, 'one')
})

test('a name that points to nothing is free', async t => {
  using scratch = makeScratch()
  mkdirSync(scratch.at('.names'))
  symlinkSync(newContainerId(), scratch.at('.names/lost'))
  writeFileSync(scratch.at('.names/odd'), '')
  for (const name of ['lost', 'odd']) {
    using container = await createContainer(scratch.path, asked({ name }))
    t.is(container.record.name, name)
  }
})

test('names are made up where none is asked for, each another one', async t => {
  using scratch = makeScratch()
  const names = new Set<string>()
  for (let i = 0; i < 50; i++) {
    const { record } = await createContainer(scratch.path, asked())
    t.regex(record.name, /^[a-z]+_[a-z]+$/)
    names.add(record.name)
  }
  t.is(names.size, 50)
})

for (const name of ['', '.', '..', '-a', '_a', 'a/b', 'a b', 'ä', 'a'.repeat(256), 'a\n'])
  test(`${JSON.stringify(name.slice(0, 20))} is no name`, async t => {
    using scratch = makeScratch()
    await t.throwsAsync(createContainer(scratch.path, asked({ name })), { code: 'USAGE' })
    t.deepEqual(readdirSync(scratch.path), ['.names'])
  })

test('a container is found by name, id and the beginning of an id', async t => {
  using scratch = makeScratch()
  const id = newContainerId()
  using container = await createContainer(scratch.path, asked({ id, name: 'one' }))
  for (const text of ['one', id, id.slice(0, 12), id.slice(0, 3)])
    t.is(getContainer(scratch.path, text).id, container.record.id)
  for (const text of ['on', 'two', '', '../one', `${id}0`])
    t.throws(() => getContainer(scratch.path, text), { code: 'CONTAINER_NOT_FOUND' })
})

test('a beginning that fits two containers is refused', async t => {
  using scratch = makeScratch()
  const [a, b] = ['1', '2'].map(digit => `${'f'.repeat(63)}${digit}`)
  using one = await createContainer(scratch.path, asked({ id: a as NewContainer['id'] }))
  using two = await createContainer(scratch.path, asked({ id: b as NewContainer['id'] }))
  t.throws(() => getContainer(scratch.path, 'fff'), { code: 'USAGE', message: /2 container ids/ })
  t.not(one.record.id, two.record.id)
})

test('a sweep spares the living, removes what was to go, and ends what was to stay', async t => {
  using scratch = makeScratch()
  using living = await createContainer(scratch.path, asked({ name: 'living' }))
  const [gone, kept, begun] = [newContainerId(), newContainerId(), newContainerId()]
  for (const [id, removeAfter] of [
    [gone, true],
    [kept, false],
  ] as const) {
    mkdirSync(scratch.at(id))
    const record = { ...asked({ id, removeAfter }), name: `name-${id.slice(0, 4)}` }
    writeFileSync(scratch.at(id, 'container.json'), JSON.stringify(record))
    symlinkSync(id, scratch.at('.names', record.name))
    writeFileSync(scratch.at(`${id}.lock`), '')
  }
  mkdirSync(scratch.at(begun))
  writeFileSync(scratch.at(`${begun}.lock`), '')
  sweepContainers(scratch.path)
  t.false(existsSync(scratch.at(gone)))
  t.false(existsSync(scratch.at(begun)))
  t.deepEqual(readdirSync(scratch.at('.names')).toSorted(), ['living', `name-${kept.slice(0, 4)}`])
  t.like(getContainer(scratch.path, kept), { status: 'exited', end: { exitCode: 137 } })
  t.is(getContainer(scratch.path, 'living').id, living.record.id)
  t.is(readdirSync(scratch.path).filter(name => name.endsWith('.lock')).length, 1)
})

test('a record that was cut short counts as not there', t => {
  using scratch = makeScratch()
  for (const text of ['', '{', '[]', 'null', '{"id":"../x","command":[]}', '{"command":7}']) {
    const id = newContainerId()
    mkdirSync(scratch.at(id))
    writeFileSync(scratch.at(id, 'container.json'), text)
  }
  t.deepEqual(listContainers(scratch.path), [])
})

test('no directory of containers is no containers', t => {
  t.deepEqual(listContainers('/no/such/directory'), [])
  sweepContainers('/no/such/directory')
  t.throws(() => getContainer('/no/such/directory', 'x'), { code: 'CONTAINER_NOT_FOUND' })
})
