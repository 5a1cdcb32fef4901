// Devices under each way to limit them: the version 2 program in the kernel, and mounts without devices where there is
// no cgroup at all. The first way, version 1, is in builtin-runtime.test.ts.

import ava from 'ava'
import { createCgroup, planCgroup, removeCgroup } from '../../src/runtime/cgroup.ts'
import type { CgroupLayout } from '../../src/runtime/cgroup-layout.ts'
import { readCgroupLayout } from '../../src/runtime/cgroup-layout.ts'
import { launch } from '../../src/runtime/launch.ts'
import { launchPlan } from '../../src/runtime/launch-plan.ts'
import { testWith } from '../helpers/needs.ts'
import { makeBench } from './container-bench.ts'

const test = testWith({ root: true })

const script = `cat /proc/self/cgroup | grep ^0::; echo x > /dev/null && head -c 1 /dev/zero > /dev/null && echo usable
  mknod /tmp/kmsg c 1 11 && head -c 1 /tmp/kmsg 2>&1 | grep -oE "Operation not permitted|Permission denied"
  mknod /tmp/disk b 254 0 && head -c 1 /tmp/disk 2>&1 | grep -oE "Operation not permitted|Permission denied"
  mknod /dev/kmsg c 1 11 && head -c 1 /dev/kmsg 2>&1 | grep -oE "Operation not permitted|Permission denied"`

/** Runs the script where only these hierarchies are there. */
async function runWith(layout: CgroupLayout, id: string): Promise<string[]> {
  using bench = makeBench()
  const config = bench.config(['sh', '-c', script], { showCgroups: false })
  const resources = config.linux.resources ?? {}
  const planned = planCgroup(layout, id, { resources, allHierarchies: false })
  const lines: string[] = []
  const io = { kind: 'lines', onLine: (line: string) => lines.push(line) } as const
  try {
    const cgroup = createCgroup(layout, planned, resources)
    const { failure } = await launch(launchPlan(config, { root: bench.root, io, layout, cgroup }), {
      io,
    })
    if (failure !== undefined) throw failure
  } finally {
    await removeCgroup(planned.map(({ directory }) => directory))
  }
  return lines
}

const version2 = readCgroupLayout().hierarchies.filter(({ version }) => version === 2)

/** Where only version 1 is mounted there is nothing to try. */
const testVersion2: typeof test = version2.length > 0 ? test : title => ava.skip(title, () => {})

testVersion2(
  'version 2: the container is born in its cgroup, and a program refuses devices there',
  async t => {
    const id = `test-${process.pid}-devices`
    const refused = 'Operation not permitted'
    t.deepEqual(await runWith({ hierarchies: version2 }, id), [
      `0::/`,
      'usable',
      refused,
      refused,
      refused,
    ])
  },
)

test('without cgroups no device but the host’s own harmless ones can be opened', async t => {
  const lines = await runWith({ hierarchies: [] }, `test-${process.pid}-none`)
  t.deepEqual(lines.slice(-4), ['usable', ...Array.from({ length: 3 }, () => 'Permission denied')])
})
