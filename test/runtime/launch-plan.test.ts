import test from 'ava'
import type { RuntimeConfig, RuntimeMount } from '../../src/oci/runtime-config.ts'
import {
  type DefaultConfigOptions,
  defaultRuntimeConfig,
} from '../../src/runtime/default-config.ts'
import { type LaunchContext, launchPlan } from '../../src/runtime/launch-plan.ts'
import { type PlanRecord, planTag, stepFlag } from '../../src/runtime/plan-writer.ts'

const context: LaunchContext = {
  root: { kind: 'overlay', lower: ['/l1', '/l2'], upper: '/u', work: '/w' },
  io: { kind: 'inherit' },
  layout: { hierarchies: [] },
  cgroup: { directories: [], taskFiles: ['/sys/fs/cgroup/x/tasks'], limitsDevices: true },
}

function config(options: Partial<DefaultConfigOptions> = {}): RuntimeConfig {
  return defaultRuntimeConfig({ args: ['true'], env: [], network: 'none', ...options })
}

function recordsOf(tag: number, plan: readonly PlanRecord[]): PlanRecord[] {
  return plan.filter(([own]) => own === tag)
}

function targets(tag: number, plan: readonly PlanRecord[]): unknown[] {
  return recordsOf(tag, plan).map(record => record[1])
}

test('a container gets docker’s mounts, masks and read-only paths', t => {
  const plan = launchPlan(config(), context)
  t.deepEqual(targets(planTag.filesystem, plan), [
    '/proc',
    '/dev',
    '/dev/pts',
    '/sys',
    '/sys/fs/cgroup',
    '/dev/mqueue',
    '/dev/shm',
  ])
  t.deepEqual(targets(planTag.readonly, plan), [
    '/proc/bus',
    '/proc/fs',
    '/proc/irq',
    '/proc/sys',
    '/proc/sysrq-trigger',
  ])
  for (const target of ['/proc/kcore', '/proc/keys', '/proc/interrupts', '/sys/firmware'])
    t.true(targets(planTag.mask, plan).includes(target), target)
})

test('sysctls are set before /proc turns read-only, masks come last', t => {
  const tags = launchPlan(config(), context).map(([tag]) => tag)
  t.true(tags.lastIndexOf(planTag.sysctl) < tags.indexOf(planTag.readonly))
  t.true(tags.lastIndexOf(planTag.readonly) < tags.indexOf(planTag.mask))
  t.true(tags.lastIndexOf(planTag.bind) < tags.indexOf(planTag.sysctl))
})

test('an interface is for a network namespace of one’s own alone', t => {
  const network = { outside: Uint8Array.of(1), inside: Uint8Array.of(2) }
  const plan = launchPlan(config({ network: 'bridge' }), { ...context, network })
  t.deepEqual(recordsOf(planTag.netlinkOutside, plan), [[planTag.netlinkOutside, network.outside]])
  t.deepEqual(recordsOf(planTag.netlinkInside, plan), [[planTag.netlinkInside, network.inside]])
  t.throws(() => launchPlan(config({ network: 'host' }), { ...context, network }), {
    code: 'UNSUPPORTED',
  })
})

test('the host’s network brings no namespace, no lo and no network sysctls', t => {
  const plan = launchPlan(config({ network: 'host' }), context)
  const [[, bits] = []] = recordsOf(planTag.namespaces, plan)
  t.is(Number(bits) & 0x40000000, 0)
  t.deepEqual(recordsOf(planTag.loopback, plan), [])
  t.deepEqual(recordsOf(planTag.sysctl, plan), [])
})

test('mounts of the caller come after the defaults, outer ones first, and take the place of an equal one', t => {
  const bind = (destination: string): RuntimeMount => ({
    destination,
    type: 'bind',
    source: '/host',
    options: ['rbind', 'ro'],
  })
  const mounts = [bind('/data/deep/er'), bind('/data'), bind('/dev/shm')]
  const plan = launchPlan(config({ mounts }), context)
  t.deepEqual(targets(planTag.bind, plan), ['/data', '/dev/shm', '/data/deep/er'])
  t.false(targets(planTag.filesystem, plan).includes('/dev/shm'))
  t.deepEqual(recordsOf(planTag.bind, plan)[0], [
    planTag.bind,
    '/data',
    '/host',
    1,
    stepFlag.recursive,
  ])
})

test('without a cgroup for devices no mount allows any, and nodes are the host’s', t => {
  const cgroup = { ...context.cgroup, limitsDevices: false }
  const plan = launchPlan(config(), { ...context, cgroup })
  const nodev = 4
  for (const record of recordsOf(planTag.filesystem, plan)) t.truthy(Number(record[3]) & nodev)
  t.truthy(Number(recordsOf(planTag.rootOverlay, plan)[0]?.[1]) & nodev)
  for (const record of recordsOf(planTag.device, plan)) t.is(record[7], stepFlag.bindDevice)
})

test('the overlay’s options keep its upper directory portable', t => {
  const [record] = recordsOf(planTag.rootOverlay, launchPlan(config(), context))
  t.deepEqual(record?.slice(1), [
    0,
    '/u',
    '/w',
    [
      'source=overlay',
      'redirect_dir=off',
      'metacopy=off',
      'index=off',
      'xino=off',
      'nfs_export=off',
    ],
    ['/l1', '/l2'],
  ])
})

test('an overlay without an upper directory is read-only, mount points are its lowest layer', t => {
  const root = { kind: 'overlay', lower: ['/l1'] } as const
  const plan = launchPlan(config(), { ...context, root, mountPoints: '/m' })
  const [record] = recordsOf(planTag.rootOverlay, plan)
  t.deepEqual([record?.[1], record?.[2], record?.[5]], [1, '', ['/l1', '/m']])
})

test('capabilities of an ordinary user are in the bounding set only', t => {
  const plan = launchPlan(config({ user: { uid: 1000, gid: 1000 } }), context)
  t.deepEqual(recordsOf(planTag.capabilities, plan)[0]?.slice(1), [0xa80425fbn, 0n, 0n, 0n, 0n])
})

test('CVE-2022-29162: inheritable and ambient capabilities are empty', t => {
  const plan = launchPlan(config({ capabilities: { add: ['ALL'] } }), context)
  t.deepEqual(recordsOf(planTag.capabilities, plan)[0]?.slice(4), [0n, 0n])
})

for (const destination of [
  '/',
  'relative',
  '/a/../b',
  '/a//b',
  '/a/.',
  '/a/',
  '/proc',
  '/proc/self/attr',
  '/proc/sys/kernel',
  '/proc/self/environ',
])
  test(`CVE-2019-16884: nothing is mounted on ${destination}`, t => {
    const mounts = [{ destination, type: 'bind', source: '/tmp', options: ['bind'] }]
    t.throws(() => launchPlan(config({ mounts }), context), {
      code: 'USAGE',
      message: /nothing can be mounted on/,
    })
  })

test('a file of procfs that only tells of the machine may be covered', t => {
  const mounts = [
    { destination: '/proc/meminfo', type: 'bind', source: '/tmp/x', options: ['bind'] },
  ]
  const [record] = recordsOf(planTag.bind, launchPlan(config({ mounts }), context))
  t.is(record?.[4], stepFlag.onKernelFs | stepFlag.noLinks)
})

for (const { name, change, code } of [
  {
    name: 'a mount that would leave its place',
    change: {
      mounts: [{ destination: '/a', type: 'bind', source: '/a', options: ['bind', 'move'] }],
    },
    code: 'UNSUPPORTED',
  },
  {
    name: 'a file system without a name',
    change: { mounts: [{ destination: '/a', type: 'none', source: 'x', options: [] }] },
    code: 'UNSUPPORTED',
  },
  {
    name: 'procfs elsewhere',
    change: { mounts: [{ destination: '/a', type: 'proc', source: 'proc', options: [] }] },
    code: 'UNSUPPORTED',
  },
  { name: 'no command', change: { args: [] }, code: 'USAGE' },
  { name: 'a relative directory', change: { cwd: 'work' }, code: 'USAGE' },
  { name: 'a sysctl that climbs', change: { sysctl: { '../../x': '1' } }, code: 'USAGE' },
  { name: 'a sysctl with an empty part', change: { sysctl: { 'a..b': '1' } }, code: 'USAGE' },
  {
    name: 'a limit that does not exist',
    change: { rlimits: [{ type: 'RLIMIT_PATIENCE', soft: 1, hard: 1 }] },
    code: 'USAGE',
  },
] as const)
  test(`${name} is refused`, t => {
    t.throws(() => launchPlan(config(change), context), { code })
  })

for (const { name, namespaces, code } of [
  {
    name: 'a namespace of users without maps',
    namespaces: [{ type: 'mount' }, { type: 'user' }],
    code: 'USAGE',
  },
  {
    name: 'somebody else’s mount namespace',
    namespaces: [{ type: 'mount', path: '/proc/1/ns/mnt' }],
    code: 'UNSUPPORTED',
  },
  { name: 'no mount namespace', namespaces: [{ type: 'pid' }], code: 'UNSUPPORTED' },
] as const)
  test(`${name} is refused`, t => {
    const base = config()
    const changed = { ...base, linux: { ...base.linux, namespaces } }
    t.throws(() => launchPlan(changed, context), { code })
  })

test('maps of users and offsets of clocks are as the kernel reads them', t => {
  const base = config()
  const namespaces = [
    { type: 'mount' as const },
    { type: 'user' as const },
    { type: 'time' as const },
  ]
  const uidMappings = [{ containerID: 0, hostID: 100_000, size: 65_536 }]
  const gidMappings = [
    { containerID: 0, hostID: 1000, size: 1 },
    { containerID: 1, hostID: 200_000, size: 9 },
  ]
  const timeOffsets = { monotonic: { secs: -5 }, boottime: { secs: 7, nanosecs: 8 } }
  const linux = { ...base.linux, namespaces, uidMappings, gidMappings, timeOffsets }
  const plan = launchPlan({ ...base, linux }, context)
  t.deepEqual(recordsOf(planTag.userMap, plan), [
    [planTag.userMap, '0 100000 65536\n', '0 1000 1\n1 200000 9\n', 0],
  ])
  t.deepEqual(recordsOf(planTag.timeOffsets, plan), [
    [planTag.timeOffsets, 'monotonic -5 0\nboottime 7 8\n'],
  ])
})

for (const { name, change } of [
  { name: 'maps', change: { uidMappings: [{ containerID: 0, hostID: 1, size: 1 }] } },
  { name: 'offsets', change: { timeOffsets: { monotonic: { secs: 1 } } } },
] as const)
  test(`${name} without a namespace for them are refused`, t => {
    const base = config()
    const changed = { ...base, linux: { ...base.linux, ...change } }
    t.throws(() => launchPlan(changed, context), { code: 'USAGE' })
  })

test('another container’s network is joined', t => {
  const base = config()
  const namespaces = [
    ...base.linux.namespaces.filter(({ type }) => type !== 'network'),
    { type: 'network' as const, path: '/proc/7/ns/net' },
  ]
  const plan = launchPlan({ ...base, linux: { ...base.linux, namespaces } }, context)
  t.deepEqual(recordsOf(planTag.join, plan), [[planTag.join, 0x40000000, '/proc/7/ns/net']])
  t.deepEqual(recordsOf(planTag.loopback, plan), [])
})

test('unlimited is all bits', t => {
  const rlimits = [{ type: 'RLIMIT_CORE', soft: 0, hard: -1 }]
  const plan = launchPlan(config({ rlimits }), context)
  t.deepEqual(recordsOf(planTag.rlimit, plan), [[planTag.rlimit, 4, 0n, 0xffff_ffff_ffff_ffffn]])
})

function bindWith(...options: string[]): readonly PlanRecord[] {
  const mounts = [{ destination: '/a', type: 'bind', source: '/a', options: ['bind', ...options] }]
  return launchPlan(config({ mounts }), context)
}

for (const { options, details } of [
  { options: ['rw'], details: [1, 0, 0, 0, 0, '', ''] },
  { options: ['rro'], details: [0, 1, 0, 0, 0, '', ''] },
  { options: ['rro', 'rrw'], details: [0, 0, 1, 0, 0, '', ''] },
  { options: ['rshared'], details: [0, 0, 0, 1 << 20, 1, '', ''] },
  { options: ['unbindable'], details: [0, 0, 0, 1 << 17, 0, '', ''] },
  { options: ['relatime'], details: [0x70, 0, 0, 0, 0, '', ''] },
  { options: ['tmpcopyup'], details: [0, 0, 0, 0, 4, '', ''] },
])
  test(`what a bind with ${options.join()} has beside attributes follows its record`, t => {
    const plan = bindWith(...options)
    const at = plan.findIndex(([tag, target]) => tag === planTag.bind && target === '/a')
    t.deepEqual(plan[at + 1], [planTag.mountDetails, ...details])
  })

for (const options of [['ro'], ['rprivate'], ['rslave'], ['defaults', 'async', 'silent']])
  test(`a bind with ${options.join()} needs no record for it`, t => {
    t.is(recordsOf(planTag.mountDetails, bindWith(...options)).length, 0)
  })

test('default devices come after the mount on /dev and before those below it', t => {
  const plan = launchPlan(config(), context)
  const at = (tag: number, target: string): number =>
    plan.findIndex(record => record[0] === tag && record[1] === target)
  t.true(at(planTag.filesystem, '/dev') < at(planTag.device, '/dev/null'))
  t.true(at(planTag.device, '/dev/null') < at(planTag.filesystem, '/dev/pts'))
})

test('a /dev of the host keeps its nodes: none are made in it', t => {
  const mounts = [{ destination: '/dev', type: 'bind', source: '/dev', options: ['rbind'] }]
  const plan = launchPlan(config({ mounts }), context)
  t.deepEqual(targets(planTag.device, plan), [])
  t.deepEqual(targets(planTag.symlink, plan), [])
})
