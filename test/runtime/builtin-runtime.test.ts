import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { makeVethPair } from '../../src/network/link-messages.ts'
import { encodeMessages } from '../../src/network/netlink.ts'
import type { RuntimeMount } from '../../src/oci/runtime-config.ts'
import { buildStepConfig } from '../../src/runtime/build-step-config.ts'
import type { RunningContainer } from '../../src/runtime/runtime.ts'
import { eventually } from '../helpers/eventually.ts'
import { testWith } from '../helpers/needs.ts'
import { compileProgram, hostMounts, makeBench, processesWith } from './container-bench.ts'
import { smallRoot } from './small-root.ts'

const test = testWith({ root: true })

test('a container is alone in its namespaces', async t => {
  using bench = makeBench()
  const { lines } = await bench.sh(
    'echo $$; hostname; ls /sys/class/net; for ns in pid mnt uts ipc net cgroup; do readlink /proc/self/ns/$ns; done',
    { hostname: 'small' },
  )
  t.deepEqual(lines.slice(0, 3), ['1', 'small', 'lo'])
  for (const [index, kind] of ['pid', 'mnt', 'uts', 'ipc', 'net', 'cgroup'].entries())
    t.not(lines[3 + index], readlinkSync(`/proc/self/ns/${kind}`), kind)
  t.deepEqual(bench.leftovers(), [])
})

test('an interface that the kernel does not make is an error of its own', async t => {
  using bench = makeBench()
  const config = bench.config(['true'], { network: 'bridge' })
  const pair = makeVethPair({
    inner: { name: 'eth0', index: 100, hardwareAddress: Uint8Array.of(2, 0, 0, 0, 0, 1) },
    port: { name: 'kauri-test', index: 0x4b00_0001 },
    bridge: 0x7fff_ffff,
    mtu: 1500,
    isolated: false,
  })
  const network = { outside: encodeMessages(pair), inside: new Uint8Array() }
  const bundle = { id: `test-${process.pid}-network`, config, root: bench.root, network }
  const io = { kind: 'lines', onLine: () => {} } as const
  await t.throwsAsync(bench.runtime.run(bundle, { io }), {
    code: 'NETWORK_UNAVAILABLE',
    message: /^making the network interface on the host: /,
  })
  t.true(await eventually(() => !existsSync('/sys/class/net/kauri-test')))
})

test('the host’s network is shared where that is asked for', async t => {
  using bench = makeBench()
  const { text } = await bench.sh('readlink /proc/self/ns/net', { network: 'host' })
  t.is(text, readlinkSync('/proc/self/ns/net'))
})

for (const { script, code } of [
  { script: 'exit 0', code: 0 },
  { script: 'exit 3', code: 3 },
  { script: 'exit 255', code: 255 },
  { script: 'sh -c "kill -9 \\$\\$"', code: 137 },
  { script: 'sh -c "kill -15 \\$\\$"; echo $?', code: 0 },
])
  test(`exit code: ${script} gives ${code}`, async t => {
    using bench = makeBench()
    t.is((await bench.sh(script)).code, code)
  })

for (const { name, command, code, message } of [
  {
    name: 'a name that no directory of PATH has',
    command: 'nosuch',
    code: 'COMMAND_NOT_FOUND',
    message: /nosuch is not in the PATH/,
  },
  {
    name: 'a path that is not there',
    command: '/no/such',
    code: 'COMMAND_NOT_FOUND',
    message: /No such file/,
  },
  { name: 'an empty name', command: '', code: 'COMMAND_NOT_FOUND', message: /./ },
  {
    name: 'a file without x',
    command: '/etc/passwd',
    code: 'COMMAND_NOT_EXECUTABLE',
    message: /Permission denied/,
  },
  {
    name: 'a directory',
    command: '/etc',
    code: 'COMMAND_NOT_EXECUTABLE',
    message: /is a directory/,
  },
  {
    name: 'a file of no format',
    command: '/bin/noformat',
    code: 'COMMAND_NOT_EXECUTABLE',
    message: /neither ELF nor a script/,
  },
  {
    name: 'a script without its interpreter',
    command: '/bin/orphan',
    code: 'COMMAND_NOT_FOUND',
    message: /needs \/opt\/perl, which is missing/,
  },
  {
    name: 'a script with DOS line ends',
    command: '/bin/dos',
    code: 'COMMAND_NOT_FOUND',
    message: /DOS line ends.*\/bin\/sh /,
  },
  {
    name: 'a program without its loader',
    command: '/bin/noloader',
    code: 'COMMAND_NOT_FOUND',
    message: /needs \/lib\/ld-none.so, which is missing/,
  },
])
  test(`${name} is ${code}, and the message says why`, async t => {
    using bench = makeBench()
    const program = (file: string, text: string): void => {
      writeFileSync(path.join(bench.lower, 'bin', file), text, { mode: 0o755 })
    }
    program('noformat', 'hello')
    program('orphan', '#!/opt/perl -w\n')
    program('dos', '#!/bin/sh\r\nexit 0\r\n')
    if (command.endsWith('noloader'))
      compileProgram(path.join(bench.lower, command), 'int main(void) { return 0; }', [
        '-Wl,--dynamic-linker=/lib/ld-none.so',
      ])
    await t.throwsAsync(bench.run(bench.config([command])), { code, message })
    t.deepEqual(bench.leftovers(), [])
  })

test('a search of PATH goes on behind a file that may not be executed', async t => {
  using bench = makeBench()
  mkdirSync(path.join(bench.lower, 'first'))
  writeFileSync(path.join(bench.lower, 'first/true'), '')
  const { code } = await bench.run(bench.config(['true'], { env: ['PATH=/first:/bin'] }))
  t.is(code, 0)
})

test('capabilities are docker’s, nothing is inherited, and setuid programs gain nothing', async t => {
  using bench = makeBench()
  const { lines } = await bench.sh('grep -E "^(Cap|NoNewPrivs|Seccomp:|Groups)" /proc/self/status')
  t.deepEqual(
    lines.map(line => line.replace(/\s+/g, ' ').trim()),
    [
      'Groups: 0',
      'CapInh: 0000000000000000',
      'CapPrm: 00000000a80425fb',
      'CapEff: 00000000a80425fb',
      'CapBnd: 00000000a80425fb',
      'CapAmb: 0000000000000000',
      'NoNewPrivs: 1',
      'Seccomp: 2',
    ],
  )
})

test('an ordinary user is one, with and without no_new_privs', async t => {
  using bench = makeBench()
  for (const noNewPrivileges of [true, false]) {
    const { lines } = await bench.sh(
      'id; grep -E "^(CapEff|CapPrm|CapBnd|Seccomp:)" /proc/self/status; echo x > /dev/stdout',
      {
        user: { uid: 1000, gid: 1001, additionalGids: [5, 7], umask: 0o027 },
        noNewPrivileges,
      },
    )
    t.deepEqual(
      lines.map(line => line.replace(/\s+/g, ' ').trim()),
      [
        'uid=1000 gid=1001 groups=1001,5,7',
        'CapPrm: 0000000000000000',
        'CapEff: 0000000000000000',
        'CapBnd: 00000000a80425fb',
        'Seccomp: 2',
        'x',
      ],
    )
  }
})

test('capabilities that are asked for are there', async t => {
  using bench = makeBench()
  const { text } = await bench.sh(
    'grep CapEff /proc/self/status; mount -t tmpfs none /tmp && echo mounted',
    {
      capabilities: { add: ['SYS_ADMIN'] },
    },
  )
  t.regex(text, /00000000a82425fb\nmounted/)
})

test('masked files are empty, masked directories too, and read-only ones refuse', async t => {
  using bench = makeBench()
  const { lines } = await bench.sh(`
    for f in kcore keys timer_list interrupts; do [ -e /proc/$f ] && head -c 10 /proc/$f; done
    ls /sys/firmware /proc/acpi 2>/dev/null | grep -v :
    echo h > /proc/sys/kernel/hostname
    touch /sys/x /sys/fs/cgroup/x; mknod /dev/x c 1 3 && echo made
    cat /proc/sys/net/ipv4/ip_unprivileged_port_start`)
  t.deepEqual(
    lines.filter(line => line !== '').map(line => /Read-only/.exec(line)?.[0] ?? line),
    ['Read-only', 'Read-only', 'Read-only', 'made', '0'],
  )
})

test('/dev has what programs expect and no more', async t => {
  using bench = makeBench()
  const { lines } = await bench.sh(
    'echo $(ls /dev); readlink /dev/fd /dev/ptmx; stat -c "%a %t:%T" /dev/null /dev/tty; df /dev/shm | grep shm',
  )
  t.deepEqual(lines.slice(0, -1), [
    'core fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero',
    '/proc/self/fd',
    'pts/ptmx',
    '666 1:3',
    '666 5:0',
  ])
  t.regex(lines.at(-1) ?? '', /^shm +65536 /)
})

test('devices of the host cannot be opened, those of every container can', async t => {
  using bench = makeBench()
  const { lines } =
    await bench.sh(`mknod /tmp/kmsg c 1 11; mknod /tmp/disk b 254 0; mknod /tmp/null c 1 3
    head -c 1 /tmp/kmsg; head -c 1 /tmp/disk; echo x > /tmp/null && echo fine`)
  t.is(lines.length, 3)
  t.regex(lines[0] ?? '', /Operation not permitted/)
  t.regex(lines[1] ?? '', /Operation not permitted/)
  t.is(lines[2], 'fine')
})

test('output comes in order of arrival, input is read', async t => {
  using bench = makeBench()
  const lines: string[] = []
  await bench.run(bench.config(['sh', '-c', 'echo a; echo b >&2; cat; printf d >&2']), {
    io: { kind: 'lines', input: 'c\n', onLine: line => lines.push(line) },
  })
  t.deepEqual(lines, ['a', 'b', 'c', 'd'])
})

test('signals reach the first process', async t => {
  using bench = makeBench()
  for (const [signal, number] of [
    ['SIGTERM', 15],
    ['SIGUSR1', 10],
    ['SIGWINCH', 28],
  ] as const) {
    let first: RunningContainer | undefined
    const { code, text } = await bench.run(
      bench.config([
        'sh',
        '-c',
        `trap 'echo got; exit 9' ${number}; echo ready; while :; do sleep 0.05; done`,
      ]),
      {
        onStart: container => (first = container),
        onLine: line => line === 'ready' && first?.kill(signal),
      },
    )
    t.deepEqual([code, text], [9, 'ready\ngot'], signal)
  }
})

test('SIGKILL kills all of it, also what has left its session', async t => {
  using bench = makeBench()
  const word = `31.4159${process.pid}`
  const exit = await bench.run(
    bench.config(['sh', '-c', `setsid sleep ${word} & exec sleep ${word}`]),
    {
      onStart: container => {
        t.true(existsSync(`/proc/${container.pid}`))
        setTimeout(() => container.kill('SIGKILL'), 200)
      },
    },
  )
  t.is(exit.code, 137)
  t.deepEqual(processesWith(word), [])
  t.deepEqual(bench.leftovers(), [])
})

test('abort kills the container and says so', async t => {
  using bench = makeBench()
  const word = `27.1828${process.pid}`
  const controller = new AbortController()
  setTimeout(() => controller.abort(), 300)
  await t.throwsAsync(
    bench.run(bench.config(['sh', '-c', `trap '' TERM INT; sleep ${word} & wait`]), {
      signal: controller.signal,
    }),
    { code: 'CANCELLED' },
  )
  t.deepEqual(processesWith(word), [])
  t.deepEqual(bench.leftovers(), [])
})

test('processes that the first one leaves behind end with it', async t => {
  using bench = makeBench()
  const word = `16.1803${process.pid}`
  await bench.sh(`sleep ${word} & exit 0`)
  t.deepEqual(processesWith(word), [])
})

test('mount points that the root lacks leave no trace in it', async t => {
  using bench = makeBench()
  writeFileSync(bench.at('file'), 'content\n')
  mkdirSync(bench.at('directory'))
  const bind = (destination: string, source: string): RuntimeMount => ({
    destination,
    type: 'bind',
    source: bench.at(source),
    options: ['bind', 'ro'],
  })
  const mounts = [bind('/etc/deep/file', 'file'), bind('/srv/directory', 'directory')]
  utimesSync(path.join(bench.lower, 'etc'), 1000, 1000)
  const { text } = await bench.sh(
    'cat /etc/deep/file; stat -c %Y /etc; touch /srv/directory/x; echo mine > /tmp/mine',
    { mounts },
  )
  t.regex(text, /^content\n1000\n.*Read-only file system$/)
  t.deepEqual(readdirSync(bench.upper), ['tmp'])
  t.false(existsSync(path.join(bench.lower, 'proc')))
  t.deepEqual(bench.leftovers(), [])
})

test('a plain directory as root gets its mount points and loses them, with the times as they were', async t => {
  using bench = makeBench()
  writeFileSync(bench.at('file'), 'content\n')
  const mounts = [
    { destination: '/etc/new/file', type: 'bind', source: bench.at('file'), options: ['bind'] },
  ]
  const directory = bench.at('plain')
  cpSync(smallRoot(), directory, { recursive: true })
  const before = readdirSync(directory)
  for (const place of ['', 'etc']) utimesSync(path.join(directory, place), 1000, 1000)
  const root = { kind: 'directory', path: directory } as const
  const { text } = await bench.run(bench.config(['cat', '/etc/new/file'], { mounts }), { root })
  t.is(text, 'content')
  t.deepEqual(readdirSync(directory), before)
  t.deepEqual(readdirSync(path.join(directory, 'etc')), ['passwd'])
  for (const place of ['', 'etc']) t.is(statSync(path.join(directory, place)).mtimeMs, 1_000_000)
})

for (const { name, target } of [
  { name: 'an absolute link to nowhere', target: '/run/resolve/stub.conf' },
  { name: 'a link out of the root', target: '../../../../../../../etc/outside.conf' },
  { name: 'a link to itself', target: 'resolv.conf' },
])
  test(`dest-nofollow mounts over ${name}`, async t => {
    using bench = makeBench()
    writeFileSync(bench.at('file'), 'nameserver 127.0.0.1\n')
    symlinkSync(target, path.join(bench.lower, 'etc/resolv.conf'))
    const mounts = [
      {
        destination: '/etc/resolv.conf',
        type: 'bind',
        source: bench.at('file'),
        options: ['bind', 'dest-nofollow'],
      },
    ]
    const { text } = await bench.sh('cat /etc/resolv.conf', { mounts, readonlyRoot: true })
    t.is(text, 'nameserver 127.0.0.1')
    t.false(existsSync('/etc/outside.conf'))
  })

test('without dest-nofollow a dangling link is followed inside the root', async t => {
  using bench = makeBench()
  writeFileSync(bench.at('file'), 'here\n')
  symlinkSync('../run/deep/file', path.join(bench.lower, 'etc/link'))
  const mounts = [
    { destination: '/etc/link', type: 'bind', source: bench.at('file'), options: ['bind'] },
  ]
  const { text } = await bench.sh('cat /run/deep/file', { mounts })
  t.is(text, 'here')
  t.deepEqual(readdirSync(bench.upper), [])
})

test('a read-only root refuses, its tmpfs does not', async t => {
  using bench = makeBench()
  const mounts = [
    { destination: '/tmp', type: 'tmpfs', source: 'tmpfs', options: ['size=1m', 'mode=1777'] },
  ]
  const { text } = await bench.sh(
    'touch /x; echo y > /tmp/y && cat /tmp/y; dd if=/dev/zero of=/tmp/z bs=1M count=2 2>&1 | grep -o "No space.*"',
    {
      mounts,
      readonlyRoot: true,
    },
  )
  t.regex(text, /Read-only file system\ny\nNo space left on device$/)
})

test('a bind shows what is mounted below it only when it is recursive', async t => {
  using bench = makeBench()
  const bind = (kind: string): RuntimeMount => ({
    destination: `/${kind}`,
    type: 'bind',
    source: '/dev',
    options: [kind, 'ro'],
  })
  const { text } = await bench.sh('ls /rbind/pts | grep -c ptmx; ls /bind/pts | grep -c ptmx', {
    mounts: [bind('bind'), bind('rbind')],
  })
  t.is(text, '1\n0')
})

test('limits of resources hold, and what this machine refuses is a warning', async t => {
  using bench = makeBench()
  const { text, warnings } = await bench.sh(
    'ulimit -Sn; ulimit -Hn; ulimit -c; cat /proc/self/oom_score_adj',
    {
      rlimits: [
        { type: 'RLIMIT_NOFILE', soft: 100, hard: 200 },
        { type: 'RLIMIT_CORE', soft: 0, hard: 0 },
      ],
      oomScoreAdj: 500,
    },
  )
  t.is(text, '100\n200\n0\n500')
  t.deepEqual(warnings, [])
})

test('a limit that may not be raised stays, with a warning', async t => {
  using bench = makeBench()
  const rlimits = [{ type: 'RLIMIT_NOFILE', soft: 9_000_000, hard: 9_000_000 }]
  const { code, text, warnings } = await bench.sh('ulimit -Hn', { rlimits })
  t.is(code, 0)
  if (text === '9000000') t.deepEqual(warnings, [])
  else t.regex(warnings.join(), /resource limit 7 cannot be raised to 9000000: /)
})

test('a limit of processes holds against a fork bomb', async t => {
  using bench = makeBench()
  const { text } = await bench.sh(
    'for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 5 & done; echo unbounded',
    {
      resources: { pids: { limit: 8 } },
    },
  )
  t.regex(text, /Cannot fork|Resource temporarily unavailable/)
  t.notRegex(text, /unbounded/)
  t.deepEqual(bench.leftovers(), [])
})

test('want of memory is told', async t => {
  using bench = makeBench()
  const script = 'perl -e \'$x = "a" x 200_000_000; print length $x\''
  const resources = { memory: { limit: 32 << 20, swap: 32 << 20 } }
  const killed = await bench.sh(`exec ${script}`, { resources })
  t.deepEqual([killed.code, killed.outOfMemory], [137, true])
  const child = await bench.sh(`${script}; exit 4`, { resources })
  t.deepEqual([child.code, child.outOfMemory], [4, true])
  const modest = await bench.sh('exit 137', { resources })
  t.deepEqual([modest.code, modest.outOfMemory], [137, false])
})

test('a limit of CPU time holds', async t => {
  using bench = makeBench()
  // Between one and two seconds by the clock, a quarter of them by the limit.
  const { text } = await bench.sh(
    `perl -e '$e = time() + 2; 1 while time() < $e; my ($u) = times; print $u < 0.9 ? "held" : "took $u"'`,
    { resources: { cpu: { quota: 25_000, period: 100_000 } } },
  )
  t.is(text, 'held')
})

test('limits are seen in /sys/fs/cgroup', async t => {
  using bench = makeBench()
  const { text } = await bench.sh(
    'cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null',
    {
      resources: { memory: { limit: 64 << 20 } },
    },
  )
  t.is(text, String(64 << 20))
})

test('sync calls of a build succeed without being made', async t => {
  using bench = makeBench()
  const config = buildStepConfig({
    command: [
      'sh',
      '-c',
      'sync && sync /bin/sh && dd if=/dev/zero of=/tmp/f bs=4k count=1 conv=fsync 2>/dev/null && hostname',
    ],
    environment: ['PATH=/bin'],
    directory: '/',
    network: 'none',
  })
  const { code, text } = await bench.run(config)
  t.deepEqual([code, text], [0, 'localhost'])
  t.deepEqual(readdirSync(bench.upper), ['tmp'])
})

test('the working directory is made, and stays', async t => {
  using bench = makeBench()
  const { text } = await bench.run(bench.config(['sh', '-c', 'pwd'], { cwd: '/srv/app' }))
  t.is(text, '/srv/app')
  t.true(lstatSync(path.join(bench.upper, 'srv/app')).isDirectory())
})

test('setuid programs give rights only without no_new_privs', async t => {
  using bench = makeBench()
  const program = path.join(bench.lower, 'bin/who')
  compileProgram(
    program,
    '#include <stdio.h>\n#include <unistd.h>\nint main(void) { printf("%d\\n", geteuid()); }',
  )
  chmodSync(program, 0o4755)
  const user = { uid: 1000, gid: 1000 }
  t.is((await bench.sh('who', { user })).text, '1000')
  t.is((await bench.sh('who', { user, noNewPrivileges: false })).text, '0')
})

test('containers leave the host’s mounts as they were, many at once, too', async t => {
  using bench = makeBench()
  const before = hostMounts()
  const root = { kind: 'overlay', lower: bench.root.lower } as const
  const exits = await Promise.all(
    Array.from({ length: 10 }, (_, index) =>
      bench.run(bench.config(['sh', '-c', `exit ${index}`]), { root }),
    ),
  )
  t.deepEqual(
    exits.map(({ code }) => code),
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
  )
  t.is(hostMounts(), before)
  t.deepEqual(bench.leftovers(), [])
  t.true(await eventually(() => processesWith(`run-protected\0${process.pid}\0`).length === 0))
})
