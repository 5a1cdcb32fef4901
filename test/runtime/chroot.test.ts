// kauri in a chroot, as on build farms: / is then no mount point, and what is to be cut off lies above it.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, cpSync, mkdirSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import type { Duplex } from 'node:stream'
import { compiledPath } from '../../src/native/compile-native.ts'
import type { RuntimeConfig } from '../../src/oci/runtime-config.ts'
import { launchPlan } from '../../src/runtime/launch-plan.ts'
import { encodePlan } from '../../src/runtime/plan-writer.ts'
import type { RootMount } from '../../src/runtime/runtime.ts'
import { testWith } from '../helpers/needs.ts'
import { type ContainerBench, compileProgram, hostMounts, makeBench } from './container-bench.ts'
import { smallRoot } from './small-root.ts'

const test = testWith({ root: true, programs: ['unshare'] })

interface ChrootCase {
  readonly propagation: 'private' | 'shared'
  /** True: what kauri is in is a mount point, as after `mount --bind`. */
  readonly isMount: boolean
}

const cases: readonly ChrootCase[] = (['private', 'shared'] as const).flatMap(propagation =>
  [true, false].map(isMount => ({ propagation, isMount })),
)

interface ChrootResult {
  readonly output: string
  readonly report: string
}

/** Runs a program in a container of a launcher that is in a chroot. */
async function runInChroot(
  bench: ContainerBench,
  { propagation, isMount }: ChrootCase,
  config: RuntimeConfig,
  root: RootMount = { kind: 'overlay', lower: ['/lower'], upper: '/upper', work: '/work' },
): Promise<ChrootResult> {
  const chroot = bench.at('chroot')
  cpSync(smallRoot(), chroot, { recursive: true })
  for (const directory of ['lower', 'upper', 'work', 'proc', 'sys', 'dev'])
    mkdirSync(bench.at('chroot', directory))
  cpSync(smallRoot(), bench.at('chroot/lower'), { recursive: true })
  cpSync(bench.lower, bench.at('chroot/lower'), { recursive: true })
  copyFileSync(compiledPath('launcher'), bench.at('chroot/launcher'))
  // Each program replaces the one before, so the launcher is this process's own child.
  const script = `mount --make-r${propagation} /; ${isMount ? `mount --bind ${chroot} ${chroot};` : ''}
      cd ${chroot}; mount -t proc proc ${chroot}/proc; mount -t sysfs sys ${chroot}/sys; mount -t tmpfs none ${chroot}/dev
      for device in null:3 zero:5 full:7 random:8 urandom:9; do mknod -m 666 dev/\${device%:*} c 1 \${device#*:}; done
      mknod -m 666 dev/tty c 5 0; exec chroot ${chroot} /launcher run ${process.pid}`
  const child = spawn('unshare', ['-m', 'sh', '-c', script], {
    stdio: ['ignore', 'pipe', 'inherit', 'pipe'],
  })
  const control = child.stdio[3] as Duplex
  control.write(
    encodePlan(
      launchPlan(config, {
        root,
        io: { kind: 'inherit' },
        layout: { hierarchies: [] },
        cgroup: { directories: [], taskFiles: [], limitsDevices: true },
      }),
    ),
  )
  let output = ''
  let report = ''
  child.stdout?.on('data', (chunk: Buffer) => (output += String(chunk)))
  control.on('data', (chunk: Buffer) => (report += String(chunk)))
  await once(child, 'close')
  return { output, report }
}

const nameOf = ({ propagation, isMount }: ChrootCase): string =>
  `a chroot that is ${isMount ? 'a' : 'no'} mount, below ${propagation} mounts`

for (const where of cases) {
  test(`a container starts in ${nameOf(where)}, and does not see out of it`, async t => {
    using bench = makeBench()
    const before = hostMounts()
    const config = bench.config(['sh', '-c', 'cd ../../..; echo *; ls /lower 2>/dev/null'], {
      showCgroups: false,
    })
    const { output, report } = await runInChroot(bench, where, config)
    t.regex(report, /ended 2\n$/)
    t.regex(output, /^bin dev etc .*proc root sys tmp/)
    t.notRegex(output, /launcher|lower/)
    t.is(hostMounts(), before)
  })

  test(`a container that may chroot cannot climb out of ${nameOf(where)}`, async t => {
    using bench = makeBench()
    compileProgram(path.join(bench.lower, 'bin/climb'), climbingProgram)
    const config = bench.config(['climb'], { showCgroups: false })
    const { output, report } = await runInChroot(bench, where, config)
    t.regex(report, /ended 0\n$/)
    t.regex(output, /bin\n/)
    t.notRegex(output, /launcher|lower|upper|boot/)
  })

  test(`a user namespace is made in ${nameOf(where)}`, async t => {
    using bench = makeBench()
    const config = bench.config(['sh', '-c', 'echo here'], { showCgroups: false })
    const map = [{ containerID: 0, hostID: 0, size: 65_536 }]
    // Setting the range of groups that may ping takes all groups.
    const { sysctl: _, ...others } = config.linux
    const linux = {
      ...others,
      namespaces: [...config.linux.namespaces, { type: 'user' as const }],
      uidMappings: map,
      gidMappings: map,
    }
    const root = { kind: 'directory', path: '/lower' } as const
    const { output, report } = await runInChroot(bench, where, { ...config, linux }, root)
    t.is(output, 'here\n', report)
  })
}

test('owners are shifted for one mount in a chroot', async t => {
  using bench = makeBench()
  const map = [{ containerID: 0, hostID: 7, size: 1 }]
  const config = bench.config(['sh', '-c', 'stat -c %u /shifted/bin/sh; stat -c %u /bin/sh'], {
    showCgroups: false,
    mounts: [
      {
        destination: '/shifted',
        type: 'bind',
        source: '/lower',
        options: ['bind', 'ro', 'idmap'],
        uidMappings: map,
        gidMappings: map,
      },
    ],
  })
  const { output, report } = await runInChroot(
    bench,
    { propagation: 'private', isMount: true },
    config,
  )
  t.is(output, '7\n0\n', report)
})

/** The well-known way out of a root that is not its mount namespace's. */
const climbingProgram = `
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
int main(void) {
  mkdir("/below", 0700);
  int fd = open("/", O_RDONLY | O_DIRECTORY);
  if (chroot("/below") != 0 || fchdir(fd) != 0) return 1;
  for (int i = 0; i < 100; i++) if (chdir("..") != 0) return 2;
  DIR *here = opendir(".");
  for (struct dirent *entry; (entry = readdir(here)) != NULL;) puts(entry->d_name);
  return 0;
}`
