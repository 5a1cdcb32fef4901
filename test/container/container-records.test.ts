import { existsSync, mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import test from 'ava'
import { newContainerId } from '../../src/container/container-name.ts'
import {
  createContainer,
  getContainer,
  listContainers,
  type NewContainer,
  renameContainer,
  sweepContainers,
  takeContainer,
} from '../../src/container/container-records.ts'
import { ownIdentity } from '../../src/runtime/run-record.ts'
import { makeScratch } from '../helpers/scratch.ts'

function asked(more: Partial<NewContainer> = {}): NewContainer {
  return {
    id: newContainerId(),
    imageName: 'small',
    imageDigest: 'sha256:0',
    command: ['sh'],
    createdMs: 1000,
    labels: { a: 'b' },
    volumes: [],
    removeAfter: false,
    ...more,
  }
}

const end = { exitCode: 3, outOfMemory: false, finishedMs: 2000 }
const run = { startedMs: 1500, ports: [], endpoints: [], restarts: 0, lastWaitMs: 0 }

test('a container is created, runs until it is ended, and its record says how', async t => {
  using scratch = makeScratch()
  const container = await createContainer(scratch.path, asked({ name: 'one' }))
  const { record } = container
  t.deepEqual(listContainers(scratch.path), [{ ...record, status: 'created' }])
  container.begin(run)
  t.deepEqual(listContainers(scratch.path), [{ ...record, status: 'running', run }])
  await t.throwsAsync(takeContainer(scratch.path, record.id, 0), { code: 'LOCK_BUSY' })
  container.end(end)
  container[Symbol.dispose]()
  t.deepEqual(listContainers(scratch.path), [{ ...record, status: 'exited', run, end }])
  const taken = await takeContainer(scratch.path, record.id)
  taken.forget()
  t.deepEqual(readdirSync(scratch.path), ['.names'])
  t.deepEqual(readdirSync(scratch.at('.names')), [])
})

test('a container whose program did not start counts as created, and says why', async t => {
  using scratch = makeScratch()
  using container = await createContainer(scratch.path, asked())
  container.begin(run)
  container.failed({ ...end, error: 'no such program' })
  t.like(listContainers(scratch.path)[0], { status: 'created', end: { error: 'no such program' } })
})

test('a container restarts as long as somebody waits for it', async t => {
  using scratch = makeScratch()
  const container = await createContainer(scratch.path, asked({ name: 'one' }))
  container.begin(run)
  container.end({ ...end, restarting: ownIdentity() })
  t.is(getContainer(scratch.path, 'one').status, 'restarting')
  container[Symbol.dispose]()
  t.is(getContainer(scratch.path, 'one').status, 'exited')
  sweepContainers(scratch.path)
  t.is(getContainer(scratch.path, 'one').end?.restarting, undefined)
})

test('a new name takes the place of the old one', async t => {
  using scratch = makeScratch()
  using one = await createContainer(scratch.path, asked({ name: 'one' }))
  using _ = await createContainer(scratch.path, asked({ name: 'two' }))
  t.throws(() => renameContainer(scratch.path, one.record, 'two'), { code: 'NAME_IN_USE' })
  renameContainer(scratch.path, one.record, 'three')
  t.is(getContainer(scratch.path, 'three').id, one.record.id)
  t.throws(() => getContainer(scratch.path, 'one'), { code: 'CONTAINER_NOT_FOUND' })
  t.deepEqual(readdirSync(scratch.at('.names')).toSorted(), ['three', 'two'])
})

test('only root reads what a container was made from', async t => {
  using scratch = makeScratch()
  using container = await createContainer(scratch.path, asked())
  t.is(statSync(scratch.at(container.record.id, 'container.json')).mode & 0o777, 0o600)
})

test('CVE-2021-41091: no other user reaches the volumes of a container', async t => {
  using scratch = makeScratch()
  using container = await createContainer(scratch.path, asked())
  t.is(statSync(container.directory).mode & 0o7777, 0o700)
})

test('a container that is forgotten leaves nothing', async t => {
  using scratch = makeScratch()
  const container = await createContainer(scratch.path, asked())
  container.forget()
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
  first.forget()
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
  living.begin(run)
  const [gone, kept, begun] = [newContainerId(), newContainerId(), newContainerId()]
  for (const [id, removeAfter] of [
    [gone, true],
    [kept, false],
  ] as const) {
    mkdirSync(scratch.at(id))
    const record = { ...asked({ id, removeAfter }), name: `name-${id.slice(0, 4)}` }
    writeFileSync(scratch.at(id, 'container.json'), JSON.stringify(record))
    writeFileSync(scratch.at(id, 'run.json'), JSON.stringify(run))
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
  t.is(readdirSync(scratch.path).filter(name => name.endsWith('.lock')).length, 2)
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
