import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import test, { type ExecutionContext } from 'ava'
import type { Resources } from '../../src/oci/runtime-config.ts'
import { createCgroup, hadOutOfMemory, planCgroup, removeCgroup } from '../../src/runtime/cgroup.ts'
import { type CgroupLayout, readCgroupLayout } from '../../src/runtime/cgroup-layout.ts'
import { makeScratch } from '../helpers/scratch.ts'

interface FakeHost {
  readonly procSelf: string
  readonly mounts: string
}

/** A /proc/self that tells of hierarchies below `mounts`. */
function fakeHost(
  t: ExecutionContext,
  hierarchies: readonly { dir: string; words: string; own: string; root?: string }[],
): FakeHost {
  const scratch = makeScratch()
  t.teardown(() => scratch[Symbol.dispose]())
  const mounts = scratch.at('fs')
  const cgroup: string[] = []
  const mountinfo = ['21 1 8:1 / / rw - ext4 /dev/root rw']
  for (const [index, { dir, words, own, root = '/' }] of hierarchies.entries()) {
    mkdirSync(path.join(mounts, dir), { recursive: true })
    const type = words === '' ? 'cgroup2' : 'cgroup'
    cgroup.push(words === '' ? `0::${own}` : `${index + 1}:${words}:${own}`)
    const options = words === '' ? 'rw,nsdelegate' : `rw,${words}`
    mountinfo.push(
      `3${index} 21 0:2${index} ${root} ${mounts}/${dir} rw shared:1 - ${type} cgroup ${options}`,
    )
  }
  writeFileSync(scratch.at('cgroup'), `${cgroup.join('\n')}\n`)
  writeFileSync(scratch.at('mountinfo'), `${mountinfo.join('\n')}\n`)
  return { procSelf: scratch.path, mounts }
}

/** A version 2 hierarchy with these controllers, on a file system that makes the kernel's files itself. */
function fakeVersion2(
  t: ExecutionContext,
  controllers: string,
): FakeHost & { layout: CgroupLayout } {
  const host = fakeHost(t, [{ dir: '', words: '', own: '/user.slice/session' }])
  writeFileSync(path.join(host.mounts, 'cgroup.controllers'), `${controllers}\n`)
  writeFileSync(path.join(host.mounts, 'cgroup.subtree_control'), 'cpu\n')
  mkdirSync(path.join(host.mounts, 'kauri'))
  writeFileSync(path.join(host.mounts, 'kauri', 'cgroup.subtree_control'), '')
  return { ...host, layout: readCgroupLayout(host.procSelf) }
}

const limits: Resources = {
  memory: { limit: 1000, swap: 1500, reservation: 800 },
  cpu: { shares: 1024, quota: 50_000, period: 100_000, cpus: '0-1' },
  pids: { limit: 20 },
}

function make(layout: CgroupLayout, resources: Resources, id = 'c1') {
  return createCgroup(
    layout,
    planCgroup(layout, id, { resources, allHierarchies: false }),
    resources,
  )
}

test('version 2: limits go into files of the container’s own directory', t => {
  const { layout, mounts } = fakeVersion2(t, 'cpuset cpu io memory hugetlb pids')
  const cgroup = make(layout, limits)
  const read = (file: string): string => readFileSync(path.join(mounts, file), 'utf8')
  t.deepEqual(cgroup.directories, [path.join(mounts, 'kauri/c1')])
  t.deepEqual(cgroup.taskFiles, [])
  t.is(cgroup.version2Directory, path.join(mounts, 'kauri/c1'))
  t.is(read('kauri/c1/memory.max'), '1000')
  t.is(read('kauri/c1/memory.swap.max'), '500')
  t.is(read('kauri/c1/memory.low'), '800')
  t.is(read('kauri/c1/cpu.weight'), '39')
  t.is(read('kauri/c1/cpu.max'), '50000 100000')
  t.is(read('kauri/c1/cpuset.cpus'), '0-1')
  t.is(read('kauri/c1/pids.max'), '20')
})

test('version 2: controllers are passed down where they are not yet', t => {
  const { layout, mounts } = fakeVersion2(t, 'cpu memory pids')
  make(layout, { pids: { limit: -1 }, cpu: { shares: 2 } })
  // A regular file keeps what was written last: `cpu` was there at the top, `pids` was not.
  t.is(readFileSync(path.join(mounts, 'cgroup.subtree_control'), 'utf8'), '+pids')
  t.is(readFileSync(path.join(mounts, 'kauri/cgroup.subtree_control'), 'utf8'), '+pids')
  t.is(readFileSync(path.join(mounts, 'kauri/c1/pids.max'), 'utf8'), 'max')
})

test('version 2: devices are limited by a program', t => {
  const { layout, mounts } = fakeVersion2(t, 'memory')
  const cgroup = make(layout, { devices: [{ allow: false }] })
  t.is(cgroup.version2Directory, path.join(mounts, 'kauri/c1'))
  t.truthy(cgroup.deviceProgram)
  t.true(cgroup.limitsDevices)
})

for (const [what, resources] of Object.entries({
  memory: { memory: { limit: 1 } },
  pids: { pids: { limit: 1 } },
  cpuset: { cpu: { mems: '0' } },
} satisfies Record<string, Resources>))
  test(`a limit without its controller is refused: ${what}`, t => {
    const { layout } = fakeVersion2(t, 'cpu io')
    t.throws(() => make(layout, resources), {
      code: 'LIMIT_UNAVAILABLE',
      message: new RegExp(`no cgroup controller for ${what}`),
    })
  })

test('a value that the kernel refuses is an error with the limit', t => {
  const { layout, mounts } = fakeVersion2(t, 'cpu memory pids')
  mkdirSync(path.join(mounts, 'kauri/c1/memory.max'), { recursive: true })
  t.throws(() => make(layout, { memory: { limit: 7 } }), {
    code: 'LIMIT_UNAVAILABLE',
    message: 'the kernel does not take a memory limit of 7 bytes',
  })
})

test('without any hierarchy nothing limits devices, and that is told', t => {
  const host = fakeHost(t, [])
  const cgroup = make(readCgroupLayout(host.procSelf), { devices: [{ allow: false }] })
  t.false(cgroup.limitsDevices)
  t.deepEqual(cgroup.directories, [])
})

function fakeVersion1(t: ExecutionContext): FakeHost & { layout: CgroupLayout } {
  const host = fakeHost(t, [
    { dir: 'cpu,cpuacct', words: 'cpu,cpuacct', own: '/' },
    { dir: 'memory', words: 'memory', own: '/slice/mine' },
    { dir: 'cpuset', words: 'cpuset', own: '/' },
    { dir: 'devices', words: 'devices', own: '/docker/abc', root: '/docker/abc' },
    { dir: 'systemd', words: 'name=systemd', own: '/' },
    { dir: 'unified', words: '', own: '/' },
  ])
  writeFileSync(path.join(host.mounts, 'unified', 'cgroup.controllers'), 'hugetlb\n')
  for (const directory of ['cpuset', 'cpuset/kauri', 'cpuset/kauri/c1']) {
    mkdirSync(path.join(host.mounts, directory), { recursive: true })
    for (const file of ['cpuset.cpus', 'cpuset.mems'])
      writeFileSync(
        path.join(host.mounts, directory, file),
        directory === 'cpuset' ? '0-3\n' : '\n',
      )
  }
  return { ...host, layout: readCgroupLayout(host.procSelf) }
}

test('version 1: hierarchies are found by controller and name, with this process’s place in them', t => {
  const { layout, mounts } = fakeVersion1(t)
  t.deepEqual(
    layout.hierarchies.map(({ version, controllers, name, ownDirectory }) => ({
      version,
      controllers,
      name,
      own: path.relative(mounts, ownDirectory),
    })),
    [
      { version: 1, controllers: ['cpu', 'cpuacct'], name: undefined, own: 'cpu,cpuacct' },
      { version: 1, controllers: ['memory'], name: undefined, own: 'memory/slice/mine' },
      { version: 1, controllers: ['cpuset'], name: undefined, own: 'cpuset' },
      // Only its own part is mounted there, as in a container.
      { version: 1, controllers: ['devices'], name: undefined, own: 'devices' },
      { version: 1, controllers: [], name: 'systemd', own: 'systemd' },
      { version: 2, controllers: ['hugetlb'], name: undefined, own: 'unified' },
    ],
  )
})

test('version 1: limits go below this process’s own cgroup of each controller', t => {
  const { layout, mounts } = fakeVersion1(t)
  const { pids: _, ...resources } = limits
  const cgroup = make(layout, { ...resources, devices: [{ allow: false }] })
  const read = (file: string): string => readFileSync(path.join(mounts, file), 'utf8').trim()
  t.is(read('memory/slice/mine/kauri/c1/memory.limit_in_bytes'), '1000')
  t.is(read('memory/slice/mine/kauri/c1/memory.memsw.limit_in_bytes'), '1500')
  t.is(read('memory/slice/mine/kauri/c1/memory.soft_limit_in_bytes'), '800')
  t.is(read('cpu,cpuacct/kauri/c1/cpu.shares'), '1024')
  t.is(read('cpu,cpuacct/kauri/c1/cpu.cfs_quota_us'), '50000')
  t.is(read('cpuset/kauri/cpuset.cpus'), '0-3')
  t.is(read('cpuset/kauri/c1/cpuset.cpus'), '0-1')
  t.is(read('cpuset/kauri/c1/cpuset.mems'), '0-3')
  t.is(read('devices/kauri/c1/devices.deny'), 'a')
  t.is(cgroup.deviceProgram, undefined)
  t.true(cgroup.taskFiles.includes(path.join(mounts, 'devices/kauri/c1/tasks')))
  t.false(existsSync(path.join(mounts, 'systemd/kauri')))
})

test('a container that shows its cgroups has one in every hierarchy that it sees', t => {
  const { layout } = fakeVersion1(t)
  t.is(planCgroup(layout, 'c1', { resources: {}, allHierarchies: true }).length, 5)
})

test('want of memory is read from both versions', t => {
  using scratch = makeScratch()
  const write = (name: string, text: string): string => {
    mkdirSync(scratch.at(name))
    writeFileSync(
      scratch.at(name, name.startsWith('2') ? 'memory.events' : 'memory.oom_control'),
      text,
    )
    return scratch.at(name)
  }
  t.true(hadOutOfMemory([write('2-yes', 'low 0\noom 3\noom_kill 1\n')]))
  t.false(hadOutOfMemory([write('2-no', 'low 0\noom 3\noom_kill 0\n')]))
  t.true(hadOutOfMemory([write('1-yes', 'oom_kill_disable 0\nunder_oom 0\noom_kill 2\n')]))
  t.false(hadOutOfMemory([write('1-no', 'oom_kill_disable 0\nunder_oom 0\noom_kill 0\n')]))
  t.false(hadOutOfMemory([scratch.at('none')]))
})

test('removing cgroups is idempotent and leaves no empty parent', async t => {
  using scratch = makeScratch()
  mkdirSync(scratch.at('kauri/a'), { recursive: true })
  mkdirSync(scratch.at('kauri/b'))
  await removeCgroup([scratch.at('kauri/a')])
  t.deepEqual(readdirSync(scratch.path), ['kauri'])
  await removeCgroup([scratch.at('kauri/a'), scratch.at('kauri/b')])
  t.deepEqual(readdirSync(scratch.path), [])
})
