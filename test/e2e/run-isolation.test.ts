// `kauri run`: what a container's process is held to, and what of the machine it sees.

import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import path from 'node:path'
import { testWith } from '../helpers/needs.ts'
import { useContainers } from '../helpers/run-containers.ts'
import { makeScratch } from '../helpers/scratch.ts'

const test = testWith({ root: true })
const { kauri, importRoot, run, printed } = useContainers()

test('memory is limited, and running out of it is said', async t => {
  const result = await run('exec dd if=/dev/zero of=/dev/null bs=200M count=1', '-m', '32m')
  t.is(result.code, 137)
  t.regex(result.stderr, /no memory left within its limit of 33554432 bytes/)
})

test('the number of processes is limited', async t => {
  const script = 'for i in $(seq 20); do sleep 1 & done; wait'
  const result = await run(script, '--pids-limit', '8')
  t.not(result.code, 0)
  t.regex(result.stderr, /fork|Resource temporarily unavailable/i)
})

test('limits stand in the cgroup', async t => {
  const files = existsSync('/sys/fs/cgroup/cgroup.controllers')
    ? 'memory.max pids.max cpu.max cpuset.cpus'
    : 'memory/memory.limit_in_bytes pids/pids.max cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us cpuset/cpuset.cpus'
  const limits = ['-m', '64m', '--pids-limit', '50', '--cpus', '0.5', '--cpuset-cpus', '0']
  const text = await printed(`cd /sys/fs/cgroup; cat ${files}`, ...limits)
  t.deepEqual(text.split(/\s+/), ['67108864', '50', '50000', '100000', '0'])
})

test('limits of the process are set', async t => {
  t.is(await printed('ulimit -n; ulimit -Hn', '--ulimit', 'nofile=64:128'), '64\n128')
})

test('network none has nothing but a loopback that is up', async t => {
  t.regex(await printed('ip -o link', '--network', 'none'), /^1: lo: <LOOPBACK,UP,LOWER_UP>[^\n]*$/)
})

test('network host is that of the host', async t => {
  const own = execFileSync('readlink', ['/proc/self/ns/net'], { encoding: 'utf8' }).trim()
  t.is(await printed('readlink /proc/self/ns/net', '--network', 'host'), own)
  t.is(await printed('hostname', '--network', 'host'), hostname())
  const hosts = readFileSync('/etc/hosts', 'utf8').trimEnd()
  t.is(await printed('cat /etc/hosts', '--network', 'host'), hosts)
})

test('every other namespace is private', async t => {
  const names = 'cgroup ipc mnt pid uts'
  const text = await printed(`for n in ${names}; do readlink /proc/self/ns/$n; done`)
  const own = names.split(' ').map(name => execFileSync('readlink', [`/proc/self/ns/${name}`]))
  for (const [index, line] of text.split('\n').entries()) t.not(line, String(own[index]).trim())
})

test('the host name is the one given, or the short id', async t => {
  t.is(await printed('hostname; cat /etc/hostname; echo $HOSTNAME', '--hostname', 'h'), 'h\nh\nh')
  t.is(await printed('hostname; cat /etc/hostname', '-h', 'short'), 'short\nshort')
  t.regex(await printed('hostname'), /^[0-9a-f]{12}$/)
})

test('lines are added to /etc/hosts', async t => {
  const lines = ['--add-host', 'one:192.0.2.1', '--add-host', 'six:2001:db8::1']
  const text = await printed('cat /etc/hosts', '--network', 'none', ...lines)
  t.regex(text, /^127\.0\.0\.1\tlocalhost\n/)
  t.regex(text, /\n192\.0\.2\.1\tone\n2001:db8::1\tsix$/)
})

const resolverTraps: Readonly<Record<string, (root: string) => void>> = {
  'no /etc/resolv.conf': () => {},
  'no /etc': root => rmSync(path.join(root, 'etc'), { recursive: true }),
  'a dangling absolute link': root =>
    symlinkSync('/run/systemd/resolve/stub-resolv.conf', path.join(root, 'etc/resolv.conf')),
  'a dangling relative link': root =>
    symlinkSync('../run/resolvconf/resolv.conf', path.join(root, 'etc/resolv.conf')),
  'a link to itself': root => symlinkSync('resolv.conf', path.join(root, 'etc/resolv.conf')),
  'a link out of the root': root =>
    symlinkSync('../../../../../../tmp/kauri-escape/r', path.join(root, 'etc/resolv.conf')),
  'a link for /etc': root => {
    rmSync(path.join(root, 'etc'), { recursive: true })
    mkdirSync(path.join(root, 'usr/etc'))
    symlinkSync('usr/etc', path.join(root, 'etc'))
  },
}
for (const [index, [trap, change]] of Object.entries(resolverTraps).entries())
  test(`hosts, hostname and resolv.conf work in an image with ${trap}, also read-only`, async t => {
    await importRoot(`trap${index}`, change)
    const script = 'cat /etc/resolv.conf /etc/hostname; grep -c localhost /etc/hosts'
    for (const options of [[], ['--read-only']]) {
      const words = ['--network', 'host', '--hostname', 'trapped', ...options, `trap${index}`]
      const result = await kauri.run(['run', '--rm', ...words, 'sh', '-c', script])
      t.is(result.code, 0, result.stderr)
      t.true(result.stdout.startsWith(readFileSync('/etc/resolv.conf', 'utf8')))
      t.regex(result.stdout, /trapped\n\d+\n$/)
    }
    t.false(existsSync('/tmp/kauri-escape'))
  })

test('the process has the capabilities of docker, a filter and no new privileges', async t => {
  const status = await printed('grep -E "^(Cap|NoNewPrivs|Seccomp:)" /proc/self/status')
  t.regex(status, /CapInh:\s+0{16}\n/)
  t.regex(status, /CapPrm:\s+00000000a80425fb\n/)
  t.regex(status, /CapBnd:\s+00000000a80425fb\n/)
  t.regex(status, /CapAmb:\s+0{16}\n/)
  t.regex(status, /NoNewPrivs:\s+1\n/)
  t.regex(status, /Seccomp:\s+2/)
})

test('capabilities, the filter and no_new_privs follow their options', async t => {
  const bounding = 'grep CapBnd /proc/self/status'
  t.regex(await printed(bounding, '--cap-drop', 'ALL', '--cap-add', 'chown'), /0000000000000001$/)
  t.regex(await printed(bounding, '--cap-drop', 'CAP_MKNOD'), /00000000a00425fb$/)
  const status = 'grep -E "NoNew|Seccomp:" /proc/self/status'
  t.regex(await printed(status, '--security-opt', 'seccomp=unconfined'), /1\nSeccomp:\s+0$/)
  t.regex(await printed(status, '--security-opt', 'no-new-privileges=false'), /0\nSeccomp:\s+2$/)
  t.not((await run('unshare -m true')).code, 0)
})

test('a seccomp profile from a file is used, its conditions answered', async t => {
  using scratch = makeScratch()
  const profile = {
    defaultAction: 'SCMP_ACT_ALLOW',
    archMap: [{ architecture: 'SCMP_ARCH_X86_64' }, { architecture: 'SCMP_ARCH_AARCH64' }],
    syscalls: [
      { names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_ERRNO', errnoRet: 95 },
      {
        names: ['unlink', 'unlinkat'],
        action: 'SCMP_ACT_ERRNO',
        excludes: { caps: ['CAP_CHOWN'] },
      },
      { names: ['chmod', 'fchmodat'], action: 'SCMP_ACT_ERRNO', includes: { minKernel: '99.1' } },
    ],
  }
  writeFileSync(scratch.at('profile.json'), JSON.stringify(profile))
  const option = ['--security-opt', `seccomp=${scratch.at('profile.json')}`]
  const result = await run('touch /tmp/x && rm /tmp/x && mkdir /tmp/y', ...option)
  t.is(result.code, 1)
  t.regex(result.stderr, /mkdir.*not supported/)
})

test('kernel files are masked or read-only', async t => {
  const masked = 'cat /proc/keys /proc/timer_list 2>/dev/null | wc -c; ls /sys/firmware | wc -l'
  t.is(await printed(masked), '0\n0')
  t.regex((await run('echo 1 > /proc/sys/kernel/panic')).stderr, /Read-only/)
  t.regex(await printed('ls /proc | grep -c "^[0-9]"'), /^[2-5]$/)
})

for (const { user, want } of [
  { user: 'app', want: 'uid=1000(app) gid=1000(app) groups=1000(app),2000(extra) /home/app' },
  { user: 'app:other', want: 'uid=1000(app) gid=2001(other) groups=2001(other) /home/app' },
  { user: '1000', want: 'uid=1000(app) gid=1000(app) groups=1000(app),2000(extra) /home/app' },
  { user: '4242', want: 'uid=4242 gid=0(root) groups=0(root) /' },
  { user: '4242:4343', want: 'uid=4242 gid=4343 groups=4343 /' },
])
  test(`--user ${user} is looked up in the image`, async t => {
    t.is(await printed('echo $(id) $HOME', '--user', user), want)
  })

test('an ordinary user has no capabilities', async t => {
  t.regex(await printed('grep CapEff /proc/self/status', '-u', 'app'), /0{16}$/)
})

test('files of the caller as streams can be read or written, and nothing more', async t => {
  using scratch = makeScratch()
  const [input, output] = [scratch.at('input'), scratch.at('output')]
  writeFileSync(input, 'to be read\n')
  writeFileSync(output, 'from before\n')
  // To open a stream again is to open its file, with the rights of the container's root.
  const script = `cat; echo changed 2>/dev/null >/proc/self/fd/0; readlink /proc/self/fd/0
    for i in 1 2 3; do echo out; echo err >&2; done; readlink /proc/self/fd/1 /proc/self/fd/2`
  const through = ['sh', '-c', `exec "$@" < ${input} >> ${output} 2>&1`, 'sh']
  const words = ['run', '--rm', '-i', '--network', 'none', 'small', 'sh', '-c', script]
  t.is((await kauri.run(words, { through })).code, 0)
  t.is(readFileSync(input, 'utf8'), 'to be read\n')
  const lines = readFileSync(output, 'utf8').replaceAll(/\d+/g, 'N').trimEnd().split('\n')
  const stream = 'pipe:[N]'
  const both = ['out', 'err', 'out', 'err', 'out', 'err']
  t.deepEqual(lines, ['from before', 'to be read', stream, ...both, stream, stream])
})
