// The same image, words and options under docker and under kauri: what the process sees must be the same, but for what
// newer dockers do otherwise than the one that is here, which is named below.

import anyTest from 'ava'
import { type DockerDaemon, startDockerDaemon } from '../helpers/docker-daemon.ts'
import { hasProgram, testWith } from '../helpers/needs.ts'
import { useContainers } from '../helpers/run-containers.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { makeSmallRoot, tarOfRoot } from '../helpers/small-root.ts'

const test = testWith({ root: true, programs: ['dockerd', 'docker'] })
const { kauri } = useContainers()

let daemon: DockerDaemon

anyTest.before(async () => {
  if (process.getuid?.() !== 0 || !hasProgram('dockerd')) return
  daemon = await startDockerDaemon()
  using scratch = makeScratch()
  makeSmallRoot(scratch.path)
  const changes = ['ENV IMAGE=1 SHARED=image', 'CMD ["sh"]']
  const tar = tarOfRoot(scratch.path)
  const options = changes.flatMap(change => ['-c', change])
  daemon.docker(['import', ...options, '-', 'small'], tar)
  await kauri.run(['import', ...options, '-', 'peer'], { input: tar })
})

anyTest.after.always(async () => {
  await daemon?.[Symbol.asyncDispose]()
})

const common = ['--rm', '--network', 'none', '--hostname', 'peer']

/** docker has no_new_privs only when asked. */
const likeDocker = ['--security-opt', 'no-new-privileges=false']

/** What a script prints under both. */
async function both(
  script: string,
  options: readonly string[] = [],
): Promise<{ docker: string; kauri: string }> {
  const words = ['sh', '-c', `${script}; true`]
  const ours = await kauri.run(['run', ...common, ...likeDocker, ...options, 'peer', ...words])
  return {
    docker: daemon.docker(['run', ...common, ...options, 'small', ...words]),
    kauri: ours.stdout + ours.stderr,
  }
}

for (const { title, script, options = [] } of [
  { title: 'environment', script: 'env' },
  {
    title: 'environment with own variables',
    script: 'env',
    options: ['-e', 'A=1', '-e', 'SHARED=own', '-e', 'IMAGE'],
  },
  { title: 'environment of a user', script: 'env', options: ['-u', 'app'] },
  { title: 'identity', script: 'id; umask; pwd; hostname' },
  { title: 'identity of a user', script: 'id; umask; pwd', options: ['-u', 'app'] },
  { title: 'identity of a user and a group', script: 'id', options: ['-u', 'app:other'] },
  { title: 'identity of numbers', script: 'id', options: ['-u', '1234:5678'] },
  { title: 'identity of an unknown number', script: 'id', options: ['-u', '1234'] },
  { title: 'capabilities', script: 'grep -E "^(Cap|NoNewPrivs|Seccomp):" /proc/self/status' },
  {
    title: 'capabilities of a user',
    script: 'grep -E "^Cap" /proc/self/status',
    options: ['-u', 'app'],
  },
  {
    title: 'capabilities that were changed',
    script: 'grep -E "^Cap" /proc/self/status',
    options: ['--cap-drop', 'ALL', '--cap-add', 'NET_BIND_SERVICE', '--cap-add', 'SYS_TIME'],
  },
  { title: 'groups', script: 'grep Groups /proc/self/status' },
  { title: 'hosts file', script: 'cat /etc/hosts', options: ['--add-host', 'a:192.0.2.1'] },
  { title: 'resolver and host name', script: 'cat /etc/resolv.conf /etc/hostname' },
  { title: 'limits', script: 'ulimit -n; ulimit -Hn', options: ['--ulimit', 'nofile=100:200'] },
  {
    title: 'devices',
    script:
      'cd /dev; stat -c "%n %F %a %u %g %t %T" null zero full random urandom tty pts shm mqueue; ls -d * | grep -v core',
  },
  {
    title: 'links in /dev',
    script: 'cd /dev; for l in fd stdin stdout stderr ptmx; do readlink $l; done',
  },
  {
    title: 'working directory that is made',
    script: 'pwd; stat -c "%a %u %g" .',
    options: ['-w', '/a/b'],
  },
  {
    title: 'temporary file system',
    script: 'grep " /t " /proc/mounts; stat -c %a /t /tmp',
    options: ['--tmpfs', '/t', '--tmpfs', '/tmp'],
  },
  {
    title: 'bind mount',
    script: 'ls /bound > /dev/null; touch /bound/x',
    options: ['-v', '/usr:/bound:ro'],
  },
  {
    title: 'refused calls',
    script: 'unshare -m true; mount -t tmpfs x /tmp; hostname x; mknod /tmp/n b 8 0 && cat /tmp/n',
  },
  {
    title: 'what the kernel shows',
    script:
      'ls -d /proc/kcore /proc/keys /sys/firmware; wc -c < /proc/keys; ls /sys/firmware; echo 1 > /proc/sys/vm/swappiness',
  },
])
  test(`${title}: the same as docker`, async t => {
    const printed = await both(`exec 2>&1; ${script}`, options)
    t.is(withoutShell(printed.kauri), withoutShell(printed.docker))
  })

/** Messages of the shell name it by the path it was started with, which differs. */
function withoutShell(text: string): string {
  return text.replaceAll(/^(?:\/bin\/)?sh: \d+: /gm, 'sh: ')
}

test('mounts are those of docker, with the same types and rights', async t => {
  const { docker, kauri: ours } = await both('cat /proc/mounts')
  const [theirs, own] = [mountsIn(docker), mountsIn(ours)]
  for (const [target, mount] of theirs) {
    t.is(own.get(target), asOurs(mount, target), target)
  }
  const added = [...own.keys()].filter(target => !theirs.has(target))
  t.deepEqual(
    added.filter(target => !laterMasks.test(target)),
    [],
  )
})

/** Nothing is to be made among the hierarchies of version 1; docker leaves the directory around them writable. */
function asOurs(mount: string, target: string): string {
  return target === '/sys/fs/cgroup' && mount.startsWith('tmpfs')
    ? mount.replace('rw', 'ro')
    : mount
}

/** What docker masks since 25 to 28, and the hybrid hierarchy that it leaves out. */
const laterMasks =
  /^\/(?:proc\/(?:interrupts|asound|latency_stats|sched_debug|scsi)|sys\/(?:devices\/|fs\/cgroup\/unified))/

const rights = ['ro', 'rw', 'nosuid', 'nodev', 'noexec']

/** Target to type and rights. A mask is one whatever it is made of. */
function mountsIn(table: string): Map<string, string> {
  const masked = /^\/(?:proc\/(?:acpi|keys|timer_list|kcore)|sys\/firmware)$/
  return new Map(
    table
      .trim()
      .split('\n')
      .map(line => {
        const [, target = '', type = '', options = ''] = line.split(' ')
        const shown = options.split(',').filter(option => rights.includes(option))
        return [target, masked.test(target) ? 'masked' : `${type} ${shown.toSorted().join(',')}`]
      }),
  )
}

for (const { title, words } of [
  { title: 'success', words: ['small', 'true'] },
  { title: 'a code of its own', words: ['small', 'sh', '-c', 'exit 77'] },
  { title: 'a missing program', words: ['small', 'nosuch'] },
  { title: 'a missing path', words: ['small', '/no/such'] },
  { title: 'a file that is no program', words: ['small', '/etc/passwd'] },
  { title: 'a directory', words: ['small', '/etc'] },
  { title: 'a signal', words: ['small', 'sh', '-c', 'kill -9 $$'] },
  { title: 'a handled signal', words: ['small', 'sh', '-c', 'sh -c "kill -TERM \\$\\$"'] },
  { title: 'an unknown user', words: ['-u', 'nosuch', 'small', 'true'] },
  { title: 'a bad option', words: ['--nosuch', 'small', 'true'] },
  { title: 'a bad size', words: ['-m', '1q', 'small', 'true'] },
  { title: 'too little memory', words: ['-m', '1m', 'small', 'true'] },
  { title: 'a bad limit', words: ['--ulimit', 'nofile=2:1', 'small', 'true'] },
])
  test(`${title} gives the exit code of docker`, async t => {
    const { code, stderr } = await kauri.run(['run', ...common, ...words])
    t.is(code, daemon.exitCode(['run', ...common, ...words]), stderr)
  })

test('limits stand in the cgroups as docker writes them', async t => {
  const files =
    'memory/memory.limit_in_bytes pids/pids.max cpu/cpu.cfs_quota_us cpu/cpu.shares cpuset/cpuset.cpus'
  const options = [
    '-m',
    '64m',
    '--pids-limit',
    '50',
    '--cpus',
    '0.5',
    '--cpu-shares',
    '512',
    '--cpuset-cpus',
    '0',
  ]
  const printed = await both(
    `cd /sys/fs/cgroup; cat ${files} cpu.max memory.max pids.max 2>/dev/null`,
    options,
  )
  t.is(printed.kauri, printed.docker)
})
