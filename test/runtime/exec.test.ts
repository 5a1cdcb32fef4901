// One more program in a container: it is as contained as the first one, and what containers can prepare for it does not
// lead out (the attacks are those of the CVEs that are named).

import { chmodSync, existsSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import process from 'node:process'
import type { ExecProcess } from '../../src/runtime/container-runtime.ts'
import { eventually } from '../helpers/eventually.ts'
import { testWith } from '../helpers/needs.ts'
import { compileProgram, processesWith } from './container-bench.ts'
import { type LifeBench, makeLifeBench } from './life-bench.ts'

const test = testWith({ root: true })

let words = 0
const newWord = (): string => `7${process.pid}.${++words}`

/** A container that does nothing. */
async function idle(
  bench: LifeBench,
  config: Parameters<LifeBench['config']>[1] = {},
): Promise<string> {
  const { id } = await bench.started(['sleep', newWord()], { config })
  return id
}

test('it is in all namespaces, the root and the cgroups of its container', async t => {
  await using bench = makeLifeBench()
  const { id, pid } = await bench.started(['sleep', newWord()], { config: { hostname: 'inside' } })
  const kinds = ['pid', 'mnt', 'uts', 'ipc', 'net', 'cgroup', 'user', 'time']
  const script = `hostname; for ns in ${kinds.join(' ')}; do readlink /proc/self/ns/$ns; done; sort /proc/self/cgroup 2>/dev/null || cat /proc/self/cgroup`
  const { lines } = await bench.exec(id, ['sh', '-c', script])
  t.is(lines[0], 'inside')
  for (const [index, kind] of kinds.entries())
    t.is(lines[1 + index], readlinkSync(`/proc/${pid}/ns/${kind}`), kind)
  // In a cgroup namespace the container's own cgroup is the root.
  for (const line of lines.slice(1 + kinds.length)) {
    const controller = line.split(':')[1] ?? ''
    if (controller !== '') t.is(line.split(':')[2], '/', line)
  }
  const word = newWord()
  const running = bench.exec(id, ['sleep', word])
  t.true(await eventually(() => processesWith(word).length === 1))
  const [added = 0] = processesWith(word)
  t.is(readFileSync(`/proc/${added}/cgroup`, 'utf8'), readFileSync(`/proc/${pid}/cgroup`, 'utf8'))
  t.true(bench.runtime.processes(id).includes(added))
  process.kill(added, 'SIGKILL')
  t.is((await running).code, 137)
})

test('codes, streams and what is missing', async t => {
  await using bench = makeLifeBench()
  const id = await idle(bench)
  t.deepEqual(await bench.exec(id, ['sh', '-c', 'echo a; echo b >&2; exit 9']), {
    code: 9,
    lines: ['a', 'b'],
  })
  await t.throwsAsync(bench.exec(id, ['no-such']), { code: 'COMMAND_NOT_FOUND' })
  await t.throwsAsync(bench.exec(id, ['/etc']), { code: 'COMMAND_NOT_EXECUTABLE' })
  await t.throwsAsync(bench.exec(id, ['true'], { cwd: '/no/such' }), { code: 'LAUNCH_FAILED' })
  await t.throwsAsync(bench.exec('nobody', ['true']), { code: 'CONTAINER_NOT_FOUND' })
  t.is((await bench.exec(id, ['sh', '-c', 'kill -9 $$'])).code, 137)
})

test('user, groups, directory, environment and limits are its own where it says so', async t => {
  await using bench = makeLifeBench()
  const id = await idle(bench, { env: ['PATH=/bin', 'A=container'], cwd: '/etc' })
  const script = 'id -u; id -g; id -G; pwd; echo $A $B; ulimit -n; umask'
  const inherited = await bench.exec(id, ['sh', '-c', script])
  t.deepEqual(inherited.lines.slice(0, 5), ['0', '0', '0', '/etc', 'container'])
  const { lines } = await bench.exec(id, ['sh', '-c', script], {
    user: { uid: 12, gid: 34, additionalGids: [56], umask: 0o77 },
    cwd: '/tmp',
    env: ['PATH=/bin', 'B=own'],
    rlimits: [{ type: 'RLIMIT_NOFILE', soft: 77, hard: 88 }],
  } satisfies Partial<ExecProcess>)
  t.deepEqual(lines, ['12', '34', '34 56', '/tmp', 'own', '77', '0077'])
})

test('it has the filter, the capabilities and no_new_privs of its container', async t => {
  await using bench = makeLifeBench()
  const id = await idle(bench, {
    noNewPrivileges: true,
    capabilities: { drop: ['CHOWN'], add: [] },
  })
  const wanted = /^(Seccomp|NoNewPrivs|Cap\w+):/
  const ofFirst =
    readFileSync('/proc/self/status', 'utf8').length > 0
      ? await bench.exec(id, ['grep', '-E', '^(Seccomp|NoNewPrivs|Cap)', '/proc/1/status'])
      : undefined
  const own = await bench.exec(id, ['grep', '-E', '^(Seccomp|NoNewPrivs|Cap)', '/proc/self/status'])
  t.true(own.lines.filter(line => wanted.test(line)).length >= 7)
  t.deepEqual(own.lines, ofFirst?.lines ?? [])
  t.true(own.lines.includes('Seccomp:\t2') && own.lines.includes('NoNewPrivs:\t1'))
})

test('CVE-2022-29162: a program that is added gets no inheritable capabilities', async t => {
  await using bench = makeLifeBench()
  const id = await idle(bench)
  for (const user of [
    { uid: 0, gid: 0 },
    { uid: 1000, gid: 1000 },
  ]) {
    const { lines } = await bench.exec(
      id,
      ['sh', '-c', 'grep -E "^Cap(Inh|Amb)" /proc/self/status'],
      { user },
    )
    t.deepEqual(lines, ['CapInh:\t0000000000000000', 'CapAmb:\t0000000000000000'])
  }
})

test('CVE-2024-21626: no descriptor of the host’s is there, and none serves as a working directory', async t => {
  await using bench = makeLifeBench()
  const id = await idle(bench)
  const { lines } = await bench.exec(id, [
    'sh',
    '-c',
    'ls -l /proc/self/fd | grep -v "^total"; readlink /proc/self/cwd',
  ])
  // Three streams, and ls's own descriptor of the directory.
  t.is(lines.length, 5, lines.join('\n'))
  t.is(lines.at(-1), '/')
  for (let fd = 3; fd < 30; fd++)
    await t.throwsAsync(bench.exec(id, ['true'], { cwd: `/proc/self/fd/${fd}` }), {
      code: 'LAUNCH_FAILED',
    })
})

test('CVE-2024-21626: a link of the image to a descriptor is no way out either', async t => {
  await using bench = makeLifeBench()
  const id = await idle(bench)
  const links = Array.from(
    { length: 20 },
    (_, index) => `ln -s /proc/self/fd/${3 + index} /tmp/d${3 + index}`,
  )
  t.is((await bench.exec(id, ['sh', '-c', links.join('; ')])).code, 0)
  for (let fd = 3; fd < 23; fd++)
    await t.throwsAsync(bench.exec(id, ['true'], { cwd: `/tmp/d${fd}` }), { code: 'LAUNCH_FAILED' })
})

/** Opens /proc/PID/exe of every process that is not its own and writes to what it got, until it is killed. */
const exeWriter = `
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(void) {
  char own[256] = "", path[300], name[300], again[64];
  readlink("/proc/self/exe", own, 255);
  mkdir("/tmp/hits", 0777);
  for (;;) {
    DIR *proc = opendir("/proc");
    for (struct dirent *e; (e = readdir(proc));) {
      if (atoi(e->d_name) < 2) continue;
      snprintf(path, sizeof path, "/proc/%s/exe", e->d_name);
      int fd = open(path, O_PATH);
      if (fd < 0) continue;
      memset(name, 0, sizeof name);
      readlink(path, name, sizeof name - 1);
      if (strcmp(name, own) && strstr(name, "kauri")) close(open("/tmp/hits/seen", O_CREAT | O_WRONLY, 0666));
      snprintf(again, sizeof again, "/proc/self/fd/%d", fd);
      int w = open(again, O_WRONLY | O_APPEND);
      if (w >= 0 && strstr(name, "kauri")) {
        close(open("/tmp/hits/written", O_CREAT | O_WRONLY, 0666));
        write(w, "#", 1);
      }
      if (w >= 0) close(w);
      close(fd);
    }
    closedir(proc);
  }
}`

test('CVE-2019-5736: a container that lies in wait cannot write to the launcher', async t => {
  await using bench = makeLifeBench()
  compileProgram(
    `${bench.lower}/bin/writer`,
    exeWriter.replace('#include <unistd.h>', '#include <unistd.h>\n#include <sys/stat.h>'),
  )
  const id = await idle(bench)
  const { compiledPath } = await import('../../src/native/compile-native.ts')
  const before = readFileSync(compiledPath('launcher'))
  const { promise: begun, resolve } = Promise.withResolvers<void>()
  const writer = bench.runtime.exec(
    id,
    { args: ['/bin/writer'] },
    { io: { kind: 'lines', onLine: () => {} }, onStart: () => resolve() },
  )
  await begun
  for (let round = 0; round < 25; round++) {
    // A program that is the launcher again, by its link: the other half of the attack.
    await bench.exec(id, ['/proc/self/exe']).catch(() => {})
    await bench.exec(id, ['true'])
  }
  bench.runtime.kill(id, 'SIGKILL')
  await writer
  t.false(existsSync(`${bench.upper}/tmp/hits/written`))
  t.deepEqual(readFileSync(compiledPath('launcher')), before)
})

test('CVE-2016-9962: a container cannot look into a program that is being added', async t => {
  await using bench = makeLifeBench()
  const id = await idle(bench)
  const script = `while :; do for p in /proc/[0-9]*; do [ $p = /proc/$$ ] || ls -l $p/fd 2>/dev/null | grep -E "socket|/dev/null.*->|kauri" >> /tmp/found; done; done`
  const { promise: begun, resolve } = Promise.withResolvers<void>()
  const watcher = bench.runtime.exec(
    id,
    { args: ['sh', '-c', script] },
    { io: { kind: 'lines', onLine: () => {} }, onStart: () => resolve() },
  )
  await begun
  for (let round = 0; round < 25; round++) await bench.exec(id, ['true'])
  bench.runtime.kill(id, 'SIGKILL')
  await watcher
  const found = existsSync(`${bench.upper}/tmp/found`)
    ? readFileSync(`${bench.upper}/tmp/found`, 'utf8')
    : ''
  t.false(found.includes('socket'), found.slice(0, 500))
})

test('CVE-2026-30892: a procfs of the container’s own making gets nothing written', async t => {
  await using bench = makeLifeBench()
  const id = await idle(bench, {
    capabilities: { add: ['SYS_ADMIN'], drop: [] },
  })
  await bench.exec(id, [
    'sh',
    '-c',
    'mount -t tmpfs none /proc && mkdir -p /proc/self && : > /proc/self/oom_score_adj',
  ])
  t.is((await bench.exec(id, ['true'], { oomScoreAdj: 500 })).code, 0)
  t.is((await bench.exec(id, ['cat', '/proc/self/oom_score_adj'])).lines.join(''), '')
})

test('a detached program goes on by itself, and ends with its container', async t => {
  await using bench = makeLifeBench()
  const id = await idle(bench)
  const word = newWord()
  const { pid } = await bench.runtime.exec(
    id,
    { args: ['sleep', word] },
    { io: { kind: 'detached' } },
  )
  t.deepEqual(processesWith(word), [pid])
  t.true(bench.runtime.processes(id).includes(pid))
  await t.throwsAsync(bench.runtime.exec(id, { args: ['no-such'] }, { io: { kind: 'detached' } }), {
    code: 'COMMAND_NOT_FOUND',
  })
  bench.runtime.kill(id, 'SIGKILL')
  t.true(await eventually(() => processesWith(word).length === 0))
})

test('signals reach the program, and abort kills it alone', async t => {
  await using bench = makeLifeBench()
  const id = await idle(bench)
  const io = { kind: 'lines', onLine: () => {} } as const
  const result = await bench.runtime.exec(
    id,
    {
      args: [
        'perl',
        '-e',
        '$SIG{TERM} = sub { exit 3 }; kill TERM, getppid if 0; $| = 1; print "up\\n"; sleep 1000',
      ],
    },
    {
      io: { ...io, onLine: () => termed?.kill('SIGTERM') },
      onStart: program => void (termed = program),
    },
  )
  t.is(result.code, 3)
  const stopped = new AbortController()
  await t.throwsAsync(
    bench.runtime.exec(
      id,
      { args: ['sleep', newWord()] },
      { io, signal: stopped.signal, onStart: () => stopped.abort() },
    ),
    { code: 'CANCELLED' },
  )
  t.is(bench.runtime.state(id)?.status, 'running')
})

let termed: { kill(signal: NodeJS.Signals): void } | undefined

test('many programs at once', async t => {
  await using bench = makeLifeBench()
  const id = await idle(bench)
  const results = await Promise.all(
    Array.from({ length: 20 }, (_, index) => bench.exec(id, ['sh', '-c', `exit ${index}`])),
  )
  t.deepEqual(
    results.map(({ code }) => code),
    Array.from({ length: 20 }, (_, index) => index),
  )
})

test('a script without a first line, and setuid programs, are as in the container', async t => {
  await using bench = makeLifeBench()
  writeFileSync(`${bench.lower}/bin/plain`, 'echo no interpreter\n')
  chmodSync(`${bench.lower}/bin/plain`, 0o755)
  const id = await idle(bench)
  await t.throwsAsync(bench.exec(id, ['plain']), { code: 'COMMAND_NOT_EXECUTABLE' })
})
