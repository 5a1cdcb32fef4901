// kauri in a chroot, as on build farms: / is then no mount point, and what is to be cut off lies above it.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, cpSync, mkdirSync } from 'node:fs'
import process from 'node:process'
import type { Duplex } from 'node:stream'
import { compiledPath } from '../../src/native/compile-native.ts'
import { launchPlan } from '../../src/runtime/launch-plan.ts'
import { encodePlan } from '../../src/runtime/plan-writer.ts'
import { testWith } from '../helpers/needs.ts'
import { hostMounts, makeBench } from './container-bench.ts'
import { smallRoot } from './small-root.ts'

const test = testWith({ root: true, programs: ['unshare'] })

for (const propagation of ['private', 'shared'])
  test(`a container starts in a chroot below ${propagation} mounts, and does not see out of it`, async t => {
    using bench = makeBench()
    const before = hostMounts()
    const chroot = bench.at('chroot')
    cpSync(smallRoot(), chroot, { recursive: true })
    for (const directory of ['lower', 'upper', 'work', 'proc', 'dev'])
      mkdirSync(bench.at('chroot', directory))
    cpSync(smallRoot(), bench.at('chroot/lower'), { recursive: true })
    copyFileSync(compiledPath('launcher'), bench.at('chroot/launcher'))
    // Each program replaces the one before, so the launcher is this process's own child.
    const script = `mount --make-r${propagation} /; mount -t proc proc ${chroot}/proc; mount -t tmpfs none ${chroot}/dev
      mknod -m 666 ${chroot}/dev/null c 1 3; exec chroot ${chroot} /launcher run ${process.pid}`
    const child = spawn('unshare', ['-m', 'sh', '-c', script], {
      stdio: ['ignore', 'pipe', 'inherit', 'pipe'],
    })
    const config = bench.config(['sh', '-c', 'cd ../../..; echo *; ls /lower 2>/dev/null'], {
      showCgroups: false,
    })
    const control = child.stdio[3] as Duplex
    control.write(
      encodePlan(
        launchPlan(config, {
          root: { kind: 'overlay', lower: ['/lower'], upper: '/upper', work: '/work' },
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
    t.regex(report, /ended 2\n$/)
    t.regex(output, /^bin dev etc .*proc root sys tmp/)
    t.notRegex(output, /launcher|lower/)
    t.is(hostMounts(), before)
  })
