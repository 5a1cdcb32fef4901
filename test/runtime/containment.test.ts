// Attacks: each test is a container, an image or a bundle that tries to get at the host, named by the CVE or the class of
// flaw that it repeats.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import type { Duplex } from 'node:stream'
import { compiledPath } from '../../src/native/compile-native.ts'
import type { RuntimeMount } from '../../src/oci/runtime-config.ts'
import { eventually } from '../helpers/eventually.ts'
import { testWith } from '../helpers/needs.ts'
import { compileProgram, hostMounts, makeBench } from './container-bench.ts'

const test = testWith({ root: true })

function bind(source: string, destination: string, ...options: string[]): RuntimeMount {
  return { destination, type: 'bind', source, options: ['rbind', ...options] }
}

/** The launcher's file as it was; what a container writes to it would run as root on the host. */
function launcherBytes(): Buffer {
  return readFileSync(compiledPath('launcher'))
}

test('CVE-2019-5736: a container that executes /proc/self/exe cannot write to the launcher', async t => {
  using bench = makeBench()
  const before = launcherBytes()
  // The kernel runs the launcher as interpreter of this script, from a place that cannot be written to.
  writeFileSync(path.join(bench.lower, 'bin/trap'), '#!/proc/self/exe\n', { mode: 0o755 })
  await t.notThrowsAsync(async () => {
    try {
      await bench.run(bench.config(['/bin/trap']))
    } catch (error) {
      t.regex(String(error), /LAUNCH_FAILED|usage|COMMAND/)
    }
  })
  t.deepEqual(launcherBytes(), before)
})

test('CVE-2019-5736: who holds the launcher’s executable cannot write to it, not even after its end', async t => {
  using bench = makeBench()
  const held: number[] = []
  await bench.run(bench.config(['sleep', '0.3']), {
    onStart: ({ pid }) => {
      const keeper = parentOf(pid)
      for (const id of [keeper, parentOf(keeper)]) held.push(openSync(`/proc/${id}/exe`, 'r'))
    },
  })
  t.is(held.length, 2)
  for (const fd of held) {
    // While any launcher runs, the kernel calls its file busy.
    await eventually(() => errorOfWriting(fd) !== 'ETXTBSY')
    t.is(errorOfWriting(fd), 'EROFS')
    closeSync(fd)
  }
})

function parentOf(pid: number): number {
  return Number(/^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
}

function errorOfWriting(fd: number): string | undefined {
  try {
    closeSync(openSync(`/proc/self/fd/${fd}`, 'r+'))
    return undefined
  } catch (error) {
    return (error as NodeJS.ErrnoException).code
  }
}

test('CVE-2024-21626: no descriptor of the host is left open', async t => {
  using bench = makeBench()
  const { lines } = await bench.sh(
    'for fd in /proc/self/fd/*; do readlink $fd; done; ls /proc/1/fd',
  )
  t.deepEqual(
    lines.filter(line => line.startsWith('/') && !line.endsWith('/dev/null')),
    [],
  )
  t.deepEqual(lines.slice(-3).map(Number), [0, 1, 2])
})

for (let fd = 3; fd <= 12; fd++)
  test(`CVE-2024-21626: a working directory of /proc/self/fd/${fd} is refused`, async t => {
    using bench = makeBench()
    await t.throwsAsync(bench.run(bench.config(['true'], { cwd: `/proc/self/fd/${fd}` })), {
      code: 'LAUNCH_FAILED',
    })
  })

test('CVE-2024-21626: a working directory that is a link to such a descriptor is refused', async t => {
  using bench = makeBench()
  for (let fd = 3; fd <= 12; fd++) {
    symlinkSync(`/proc/self/fd/${fd}`, path.join(bench.lower, `link${fd}`))
    await t.throwsAsync(bench.run(bench.config(['pwd'], { cwd: `/link${fd}` })), {
      code: 'LAUNCH_FAILED',
    })
  }
})

for (const name of ['proc', 'sys', 'dev'])
  test(`CVE-2019-19921, CVE-2026-41579, CVE-2026-47766: a root whose /${name} is a link is refused`, async t => {
    using bench = makeBench()
    const outside = mkdtempSync(bench.at('outside-'))
    symlinkSync(`../../../../../../..${outside}`, path.join(bench.lower, name))
    await t.throwsAsync(bench.sh('true'), {
      code: 'LAUNCH_FAILED',
      message: /must not be a symbolic link/,
    })
    t.deepEqual(readdirSync(outside), [])
    t.deepEqual(bench.leftovers(), [])
  })

for (const target of ['/proc/self/attr', '/proc/sys/kernel', '/sys/kernel', '/proc'])
  test(`CVE-2019-16884: a volume on a link that the image made to ${target} is refused`, async t => {
    using bench = makeBench()
    symlinkSync(target, path.join(bench.lower, 'data'))
    mkdirSync(bench.at('volume'))
    await t.throwsAsync(bench.sh('true', { mounts: [bind(bench.at('volume'), '/data')] }), {
      code: 'LAUNCH_FAILED',
      message: /leads into procfs or sysfs/,
    })
  })

test('CVE-2023-27561, CVE-2025-52881: settings are written to procfs, not to what a volume puts over it', async t => {
  using bench = makeBench()
  mkdirSync(bench.at('fake/sys/net/ipv4'), { recursive: true })
  writeFileSync(bench.at('fake/sys/net/ipv4/ip_forward'), 'untouched')
  const config = bench.config(['cat', '/proc/sys/net/ipv4/ip_forward'], {
    sysctl: { 'net.ipv4.ip_forward': '1' },
  })
  t.is((await bench.run(config)).text, '1')
  // Such a mount does not come past the check of destinations; the launcher refuses it by itself, too.
  const mounts = [...config.mounts, bind(bench.at('fake'), '/proc')]
  await t.throwsAsync(bench.run({ ...config, mounts }), { code: 'USAGE' })
  t.is(readFileSync(bench.at('fake/sys/net/ipv4/ip_forward'), 'utf8'), 'untouched')
})

test('CVE-2025-31133: masks are the host’s null device, whatever the image has at /dev/null', async t => {
  using bench = makeBench()
  mkdirSync(path.join(bench.lower, 'dev'))
  writeFileSync(path.join(bench.lower, 'secret'), 'secret')
  symlinkSync('/secret', path.join(bench.lower, 'dev/null'))
  const { lines } = await bench.sh(
    'stat -c "%F %t:%T" /dev/null /proc/kcore /proc/timer_list 2>/dev/null',
  )
  for (const line of lines) t.is(line, 'character special file 1:3')
  t.true(lines.length > 0)
})

test('CVE-2022-0492: cgroups are read-only, and a hierarchy of one’s own cannot be mounted', async t => {
  using bench = makeBench()
  const { text } = await bench.sh(`
    for f in /sys/fs/cgroup/*/cgroup.procs /sys/fs/cgroup/cgroup.procs; do [ -e $f ] && echo 0 > $f && echo written; done
    find=$(ls -d /sys/fs/cgroup/release_agent /sys/fs/cgroup/*/release_agent 2>/dev/null); echo "agents: $find"
    mkdir /tmp/c; mount -t cgroup -o memory none /tmp/c && echo mounted
    true`)
  t.notRegex(text, /written|mounted/)
  t.regex(text, /agents: $/m)
})

test('CVE-2022-29162: a program gets no inheritable capabilities, its children neither', async t => {
  using bench = makeBench()
  const { lines } = await bench.sh(
    'grep CapInh /proc/self/status; sh -c "grep CapAmb /proc/self/status"',
  )
  t.deepEqual(
    lines.map(line => line.split('\t')[1]),
    ['0000000000000000', '0000000000000000'],
  )
})

const systemCalls = `
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
static void try(const char *name, long result) {
  printf("%s %s\\n", name, result >= 0 ? "ok" : errno == EPERM ? "EPERM" : errno == ENOSYS ? "ENOSYS" : strerror(errno));
}
int main(void) {
  try("unshare-user", syscall(SYS_unshare, 0x10000000));
  try("unshare-mount", syscall(SYS_unshare, 0x20000));
  try("clone-user", syscall(SYS_clone, 0x10000000, 0, 0, 0, 0));
  try("clone3", syscall(SYS_clone3, 0, 0));
  try("mount", syscall(SYS_mount, "none", "/tmp", "tmpfs", 0, 0));
  try("fsopen", syscall(SYS_fsopen, "tmpfs", 0));
  try("open_by_handle_at", syscall(SYS_open_by_handle_at, 0, 0, 0));
  try("keyctl", syscall(SYS_keyctl, 0, 0, 0));
  try("bpf", syscall(SYS_bpf, 0, 0, 0));
  try("io_uring", syscall(425, 1, 0));
  try("alg", socket(38, SOCK_SEQPACKET, 0));
  try("vsock", socket(40, SOCK_STREAM, 0));
  try("inet", socket(AF_INET, SOCK_STREAM, 0));
  try("newer", syscall(1000));
#ifdef __x86_64__
  try("x32-unshare", syscall(0x40000000 + SYS_unshare, 0x10000000));
  try("x32-mount", syscall(0x40000000 + SYS_mount, "none", "/tmp", "tmpfs", 0, 0));
#endif
  char key = 'x';
  try("TIOCSTI", ioctl(0, TIOCSTI, &key));
  return 0;
}`

test('seccomp: dangerous calls are refused, unknown ones unknown, other ABIs no way around', async t => {
  using bench = makeBench()
  compileProgram(path.join(bench.lower, 'bin/attack'), systemCalls)
  const { lines } = await bench.run(bench.config(['attack']))
  const answers = Object.fromEntries(lines.map(line => line.split(' ') as [string, string]))
  for (const call of [
    'unshare-user',
    'unshare-mount',
    'clone-user',
    'mount',
    'fsopen',
    'bpf',
    'io_uring',
  ])
    t.is(answers[call], 'EPERM', call)
  for (const call of ['open_by_handle_at', 'keyctl', 'alg', 'vsock'])
    t.is(answers[call], 'EPERM', call)
  for (const call of ['clone3', 'newer']) t.is(answers[call], 'ENOSYS', call)
  t.is(answers['inet'], 'ok')
  if (process.arch === 'x64')
    for (const call of ['x32-unshare', 'x32-mount'])
      t.regex(answers[call] ?? '', /EPERM|ENOSYS/, call)
  t.not(answers['TIOCSTI'], 'ok')
})

/** A volume in which somebody swaps a directory and a link as fast as possible. */
function swapping(directory: string, outside: string): ChildProcess {
  mkdirSync(path.join(directory, 'inside'))
  symlinkSync(outside, path.join(directory, 'outside'))
  return spawn(process.execPath, [
    '-e',
    `const {renameSync} = require('node:fs'), d = ${JSON.stringify(directory)}
     for (;;) { renameSync(d + '/inside', d + '/target'); renameSync(d + '/target', d + '/inside')
       renameSync(d + '/outside', d + '/target'); renameSync(d + '/target', d + '/outside') }`,
  ])
}

test('CVE-2021-30465, CVE-2024-45310: a mount point swapped for a link under way never leads out of the root', async t => {
  using bench = makeBench()
  const outside = mkdtempSync(bench.at('outside-'))
  const volume = mkdtempSync(bench.at('volume-'))
  mkdirSync(bench.at('payload/p'), { recursive: true })
  const attacker = swapping(volume, outside)
  t.teardown(() => attacker.kill('SIGKILL'))
  let started = 0
  for (let round = 0; round < 40; round++)
    try {
      const mounts = [bind(volume, '/volume'), bind(bench.at('payload'), '/volume/target/new')]
      await bench.sh('true', { mounts })
      started++
    } catch (error) {
      t.is((error as { code?: string }).code, 'LAUNCH_FAILED')
    }
  attacker.kill('SIGKILL')
  t.deepEqual(readdirSync(outside), [])
  t.notRegex(hostMounts(), /payload/)
  t.log(`${started} of 40 started`)
})

test('volumes: a link in a volume leads into the container, not out', async t => {
  using bench = makeBench()
  const volume = mkdtempSync(bench.at('volume-'))
  const outside = mkdtempSync(bench.at('outside-'))
  symlinkSync(outside, path.join(volume, 'link'))
  mkdirSync(bench.at('payload'))
  const mounts = [bind(volume, '/volume'), bind(bench.at('payload'), '/volume/link/deep')]
  const { code } = await bench.sh(`[ -d ${outside}/deep ]`, { mounts })
  t.is(code, 0)
  t.deepEqual(readdirSync(outside), [])
})

test('a container sees nothing of the host’s mounts, processes and keys', async t => {
  using bench = makeBench()
  const { lines } = await bench.sh(
    'grep -c . /proc/self/mountinfo; echo /proc/[0-9]*; cat /proc/keys; ls /..',
  )
  t.true(Number(lines[0]) < 60)
  t.regex(lines[1] ?? '', /^\/proc\/1( \/proc\/\d)*$/)
  t.is(lines[2], 'bin')
})

test('files of the launcher and its keeper are out of a container’s sight', async t => {
  using bench = makeBench()
  const { text } = await bench.sh(
    'readlink /proc/1/exe; cat /proc/1/environ | tr "\\0" "\\n" 2>/dev/null | head; ls -l /proc/1/root',
  )
  t.notRegex(text, /kauri/)
})

test('a volume that is shared on the host stays the host’s: nothing a container mounts appears there', async t => {
  using bench = makeBench()
  const before = hostMounts()
  mkdirSync(bench.at('volume'))
  await bench.sh('mkdir /volume/m; mount -t tmpfs none /volume/m; ls /volume', {
    mounts: [bind(bench.at('volume'), '/volume', 'rslave')],
    capabilities: { add: ['SYS_ADMIN'] },
  })
  t.is(hostMounts(), before)
})

test('a read-only volume is read-only, also below', async t => {
  using bench = makeBench()
  mkdirSync(bench.at('volume'))
  chmodSync(bench.at('volume'), 0o777)
  const { text } = await bench.sh('touch /volume/x; touch /host-dev/shm/kauri-attack', {
    mounts: [bind(bench.at('volume'), '/volume', 'ro'), bind('/dev', '/host-dev', 'rro')],
  })
  t.is([...text.matchAll(/Read-only file system/g)].length, 2)
  t.false(existsSync('/dev/shm/kauri-attack'))
  rmSync('/dev/shm/kauri-attack', { force: true })
})

test('a full disk in a container’s tmpfs is that container’s', async t => {
  using bench = makeBench()
  const { text } = await bench.sh(
    'dd if=/dev/zero of=/dev/shm/f bs=1M count=80 2>&1 | grep -o "No space.*"',
    {
      shmSizeBytes: 8 << 20,
    },
  )
  t.is(text, 'No space left on device')
})

test('a flood of output is bounded by its reader, and the container ends', async t => {
  using bench = makeBench()
  let bytes = 0
  const { code } = await bench.run(
    bench.config(['sh', '-c', 'head -c 50000000 /dev/zero; exit 7']),
    {
      io: { kind: 'lines', onLine: line => (bytes += line.length) },
    },
  )
  t.deepEqual([code, bytes], [7, 50_000_000])
})

test('a plan that is no plan is refused by the launcher', async t => {
  for (const bytes of [
    Buffer.from('hello world, no plan'),
    Buffer.from('KUI1\x08\0\0\0', 'latin1'),
    Buffer.alloc(0),
  ]) {
    const child = spawn(compiledPath('launcher'), ['run', String(process.pid)], {
      stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
    })
    const control = child.stdio[3] as Duplex
    control.end(bytes)
    let report = ''
    control.on('data', (chunk: Buffer) => (report += String(chunk)))
    control.on('error', () => {})
    await once(child, 'close')
    t.regex(report, /^error launch .*plan/)
  }
})

test('an id cannot name a cgroup elsewhere', async t => {
  using bench = makeBench()
  for (const id of ['../escape', 'a/b', '..'])
    await t.throwsAsync(
      bench.runtime.run(
        { id, config: bench.config(['true']), root: bench.root },
        { io: { kind: 'inherit' } },
      ),
      { code: 'USAGE' },
    )
  t.false(existsSync(bench.at('escape')))
})

test('hostile names cannot forge the launcher’s reports', async t => {
  using bench = makeBench()
  const error = await t.throwsAsync(bench.run(bench.config(['nosuch\nended 0\n'])), {
    code: 'COMMAND_NOT_FOUND',
  })
  t.regex(error.message, /nosuch\?ended 0\?/)
})
