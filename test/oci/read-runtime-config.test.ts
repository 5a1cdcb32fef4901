import test from 'ava'
import { parseBundleConfig } from '../../src/oci/read-runtime-config.ts'

const smallest = {
  ociVersion: '1.0.2',
  root: { path: 'rootfs' },
  process: { cwd: '/', args: ['sh'], user: { uid: 0, gid: 0 } },
  linux: { namespaces: [{ type: 'mount' }] },
}

function parse(change: object): ReturnType<typeof parseBundleConfig> {
  return parseText(JSON.stringify({ ...smallest, ...change }))
}

function parseText(text: string): ReturnType<typeof parseBundleConfig> {
  return parseBundleConfig(Buffer.from(text))
}

function withLinux(linux: object): object {
  return { linux: { ...smallest.linux, ...linux } }
}

function withProcess(process: object): object {
  return { process: { ...smallest.process, ...process } }
}

test('the smallest bundle is read, with what is left out filled in', t => {
  const { config, rootPath, hasProcess } = parse({})
  t.is(rootPath, 'rootfs')
  t.true(hasProcess)
  t.deepEqual(config.process.env, [])
  t.deepEqual(config.process.capabilities.bounding, [])
  t.false(config.process.noNewPrivileges)
  t.deepEqual(config.linux.maskedPaths, [])
})

test('a bundle without a process is read: it can be created', t => {
  const { config, hasProcess } = parse({ process: undefined })
  t.false(hasProcess)
  t.deepEqual(config.process.args, [''])
})

test('null stands for what is left out, as Go writes it', t => {
  const { config } = parse({ mounts: null, hooks: { prestart: null }, annotations: null })
  t.deepEqual(config.mounts, [])
  t.deepEqual(config.hooks, {})
})

test('relative destinations mean the root, and .. does not leave it', t => {
  const mounts = [{ destination: 'data' }, { destination: '/a/../../../etc/./x' }]
  t.deepEqual(
    parse({ mounts }).config.mounts.map(({ destination }) => destination),
    ['/data', '/etc/x'],
  )
})

test('numbers of 64 bits keep every bit', t => {
  const text = JSON.stringify({
    ...smallest,
    ...withLinux({
      seccomp: {
        defaultAction: 'SCMP_ACT_ALLOW',
        syscalls: [
          {
            names: ['clone'],
            action: 'SCMP_ACT_ERRNO',
            args: [{ index: 0, value: 'BIG', op: 'SCMP_CMP_EQ' }],
          },
        ],
      },
    }),
  }).replace('"BIG"', '18446744073709551614')
  const { seccomp } = parseText(text).config.linux
  t.is(
    seccomp !== undefined && 'syscalls' in seccomp ? seccomp.syscalls[0]?.args?.[0]?.value : 0,
    18446744073709551614n,
  )
})

test('a resource limit of all bits is no limit', t => {
  const text = JSON.stringify({
    ...smallest,
    ...withProcess({ rlimits: [{ type: 'RLIMIT_CORE', soft: 0, hard: 'BIG' }] }),
  }).replace('"BIG"', '18446744073709551615')
  t.deepEqual(parseText(text).config.process.rlimits, [
    { type: 'RLIMIT_CORE', soft: 0, hard: Infinity },
  ])
})

test('device numbers of -1 in rules stand for all', t => {
  const devices = [{ allow: true, type: 'c', major: -1, minor: -1, access: 'rwm' }]
  t.deepEqual(parse(withLinux({ resources: { devices } })).config.linux.resources?.devices, [
    { allow: true, type: 'c', access: 'rwm' },
  ])
})

test('limits of 0, as Go writes what nobody asked for, are none', t => {
  const resources = { blockIO: { weight: 0 }, cpu: { shares: 0, quota: 0 }, memory: { limit: 0 } }
  t.deepEqual(parse(withLinux({ resources })).config.linux.resources, {
    blockIO: {},
    cpu: {},
    memory: {},
  })
})

const user = { type: 'user' }
const mappings = [{ containerID: 0, hostID: 1000, size: 1 }]

const refused: readonly (readonly [title: string, change: object, message: RegExp])[] = [
  ['no version', { ociVersion: undefined }, /ociVersion: expected a string, got nothing/],
  ['another major version', { ociVersion: '2.0.0' }, /ociVersion: expected a version 1\.x\.y/],
  ['no root', { root: undefined }, /root: expected an object/],
  ['an empty root path', { root: { path: '' } }, /root\.path: expected a directory/],
  ['a text for a number', withProcess({ user: { uid: '0', gid: 0 } }), /process\.user\.uid/],
  ['a user id beyond 32 bits', withProcess({ user: { uid: 4294967296, gid: 0 } }), /user\.uid/],
  ['the id that means none', withProcess({ user: { uid: 4294967295, gid: 0 } }), /user\.uid/],
  ['no arguments', withProcess({ args: [] }), /process\.args: expected a program/],
  [
    'a relative working directory',
    withProcess({ cwd: 'tmp' }),
    /process\.cwd: expected an absolute/,
  ],
  [
    'a NUL in an argument',
    withProcess({ args: ['a\0b'] }),
    /process\.args\[0\]: expected a string without NUL/,
  ],
  [
    'an unknown limit',
    withProcess({ rlimits: [{ type: 'RLIMIT_NONE', soft: 1, hard: 1 }] }),
    /process\.rlimits\[0\]\.type: expected one of RLIMIT_CPU/,
  ],
  [
    'a limit twice',
    withProcess({
      rlimits: [
        { type: 'RLIMIT_CPU', soft: 1, hard: 1 },
        { type: 'RLIMIT_CPU', soft: 2, hard: 2 },
      ],
    }),
    /process\.rlimits: expected no duplicate of RLIMIT_CPU/,
  ],
  [
    'a soft limit above the hard one',
    withProcess({ rlimits: [{ type: 'RLIMIT_CPU', soft: 2, hard: 1 }] }),
    /rlimits\[0\]: expected a soft limit/,
  ],
  ['a score out of range', withProcess({ oomScoreAdj: 1001 }), /oomScoreAdj/],
  [
    'an I/O priority out of range',
    withProcess({ ioPriority: { class: 'IOPRIO_CLASS_BE', priority: 8 } }),
    /ioPriority\.priority/,
  ],
  [
    'a namespace of an unknown type',
    withLinux({ namespaces: [{ type: 'net' }] }),
    /namespaces\[0\]\.type: expected one of pid/,
  ],
  [
    'a namespace twice',
    withLinux({ namespaces: [{ type: 'pid' }, { type: 'pid' }] }),
    /expected no duplicate of pid/,
  ],
  [
    'a relative namespace path',
    withLinux({ namespaces: [{ type: 'pid', path: 'x' }] }),
    /namespaces\[0\]\.path/,
  ],
  ['a mount without destination', { mounts: [{ source: '/x' }] }, /mounts\[0\]\.destination/],
  [
    'half an idmap',
    { mounts: [{ destination: '/x', uidMappings: mappings }] },
    /both uidMappings and gidMappings/,
  ],
  [
    'a hook with a relative path',
    { hooks: { prestart: [{ path: 'x' }] } },
    /hooks\.prestart\[0\]\.path/,
  ],
  [
    'a hook that may take no time',
    { hooks: { prestart: [{ path: '/x', timeout: 0 }] } },
    /timeout: expected seconds from 1/,
  ],
  ['a hostname on the host', { hostname: 'x' }, /hostname: needs a uts namespace/],
  ['a domain name on the host', { domainname: 'x' }, /domainname: needs a uts namespace/],
  ['a user namespace without ids', withLinux({ namespaces: [user] }), /uidMappings: missing/],
  [
    'ids without a user namespace',
    withLinux({ uidMappings: mappings, gidMappings: mappings }),
    /needs a user namespace/,
  ],
  [
    'a clock that there is not',
    withLinux({ namespaces: [{ type: 'time' }], timeOffsets: { realtime: { secs: 1 } } }),
    /there is no clock realtime/,
  ],
  [
    'clocks of the host',
    withLinux({ timeOffsets: { monotonic: { secs: 1 } } }),
    /needs a time namespace/,
  ],
  [
    'a cgroup above its place (CVE-2022-0811)',
    withLinux({ cgroupsPath: '/a/../../b' }),
    /cgroupsPath: expected a path without \.\./,
  ],
  [
    'a cgroup of two lines',
    withLinux({ cgroupsPath: '/a\nb' }),
    /cgroupsPath: expected a path of one line/,
  ],
  [
    'a setting of the machine',
    withLinux({ sysctl: { 'kernel.core_pattern': '|/x' } }),
    /would change the host/,
  ],
  [
    'the same with slashes',
    withLinux({ sysctl: { 'kernel/core_pattern': '|/x' } }),
    /would change the host/,
  ],
  [
    'a network setting of the host',
    withLinux({ sysctl: { 'net.ipv4.ip_forward': '1' } }),
    /needs a network namespace/,
  ],
  [
    'an ipc setting of the host',
    withLinux({ sysctl: { 'kernel.shmmax': '1' } }),
    /needs a ipc namespace/,
  ],
  [
    'the host name as a setting',
    withLinux({ namespaces: [{ type: 'uts' }], sysctl: { 'kernel.hostname': 'x' } }),
    /is set by hostname/,
  ],
  [
    'a file outside the cgroup',
    withLinux({ resources: { unified: { '../memory.max': '1' } } }),
    /unified: expected names of cgroup files/,
  ],
  [
    'a page size that is none',
    withLinux({ resources: { hugepageLimits: [{ pageSize: '../x', limit: 1 }] } }),
    /pageSize: expected a page size/,
  ],
  [
    'CPUs that are no list',
    withLinux({ resources: { cpu: { cpus: '0;1' } } }),
    /cpus: expected a list/,
  ],
  [
    'a seccomp action that there is not',
    withLinux({ seccomp: { defaultAction: 'SCMP_ACT_MAYBE' } }),
    /defaultAction: expected one of SCMP_ACT_ALLOW/,
  ],
  [
    'an errno for an action without one',
    withLinux({ seccomp: { defaultAction: 'SCMP_ACT_ALLOW', defaultErrnoRet: 1 } }),
    /SCMP_ACT_ALLOW does not return/,
  ],
  [
    'a seventh argument',
    withLinux({
      seccomp: {
        defaultAction: 'SCMP_ACT_ALLOW',
        syscalls: [
          {
            names: ['x'],
            action: 'SCMP_ACT_LOG',
            args: [{ index: 6, value: 0, op: 'SCMP_CMP_EQ' }],
          },
        ],
      },
    }),
    /args\[0\]\.index/,
  ],
  [
    'words for an agent that is not named',
    withLinux({ seccomp: { defaultAction: 'SCMP_ACT_ALLOW', listenerMetadata: 'x' } }),
    /listenerPath/,
  ],
  [
    'resctrl, which nothing here applies',
    withLinux({ intelRdt: { closID: 'x' } }),
    /intelRdt: expected nothing/,
  ],
  [
    'network devices, which nothing here moves',
    withLinux({ netDevices: { eth0: {} } }),
    /netDevices: expected nothing/,
  ],
]

for (const [title, change, message] of refused)
  test(`refused with its path: ${title}`, t => {
    t.throws(() => parse(change), { code: 'USAGE', message })
  })

const hostile: readonly (readonly [title: string, text: string])[] = [
  ['an array', '[]'],
  ['nothing', ''],
  ['half a document', '{"ociVersion":'],
  ['a document that is nested a thousand times', `${'['.repeat(1000)}${']'.repeat(1000)}`],
  ['no UTF-8', Buffer.from([0x22, 0xff, 0x22]).toString('latin1')],
]

for (const [title, text] of hostile)
  test(`no configuration: ${title}`, t => {
    t.throws(() => parseBundleConfig(Buffer.from(text, 'latin1')), { code: 'USAGE' })
  })

test('a configuration of more than 4 MiB is not read', t => {
  t.throws(() => parseBundleConfig(Buffer.alloc(5 * 1024 * 1024, ' ')), { code: 'USAGE' })
})
