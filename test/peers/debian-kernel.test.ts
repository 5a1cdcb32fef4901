// kauri on the kernel of the oldest release that it promises to run on, in qemu: overlays without `lowerdir+`, cgroup
// version 2 alone.

import { guestKernel, runInGuest } from '../helpers/guest-machine.ts'
import { testWith } from '../helpers/needs.ts'
import { makeScratch } from '../helpers/scratch.ts'

const programs = ['qemu-system-x86_64', 'busybox', 'mke2fs']
const test =
  guestKernel() === undefined
    ? testWith({ programs: ['the kernel that bin/setup --tests fetches'] })
    : testWith({ root: true, programs })

test('containers, limits, the bridge and builds work on the release’s own kernel with cgroup version 2', t => {
  t.timeout(900_000)
  using scratch = makeScratch()
  const dockerfile = String.raw`FROM small\nRUN echo built > /built\nRUN rm /bin/dd; cat /built\nCMD ["cat", "/built"]\n`
  const answers = runInGuest(scratch, {
    kernel: 'uname -r; cat /sys/fs/cgroup/cgroup.controllers',
    limits:
      '$kauri run --rm --network none -m 64m --cpus 0.5 --pids-limit 20 small sh -c "cd /sys/fs/cgroup; cat memory.max cpu.max pids.max"',
    memory:
      '$kauri run --rm --network none -m 16m small dd if=/dev/zero of=/dev/null bs=48M count=1',
    processes:
      '$kauri run --rm --network none --pids-limit 5 small sh -c "for i in 1 2 3 4 5 6; do sleep 1 & done"',
    devices:
      '$kauri run --rm --network none --cap-add SYS_ADMIN small sh -c "mknod /m b 254 0 && cat /m"',
    bridge: '$kauri run --rm small sh -c "ip -4 -o addr show eth0"',
    build: `mkdir /tmp/c; printf '${dockerfile}' > /tmp/c/Dockerfile; $kauri build --quiet -t built /tmp/c && $kauri run --rm --network none built`,
    left: 'find /sys/fs/cgroup -path "*kauri/*" -type d; grep -c overlay /proc/mounts; true',
  })
  const text = (name: string): string => answers.get(name)?.text ?? ''
  t.regex(text('kernel'), /cpu/)
  t.regex(text('limits'), /^67108864\n50000 100000\n20\n/m)
  t.is(answers.get('memory')?.code, 137, text('memory'))
  t.regex(text('memory'), /no memory left within its limit of 16777216 bytes/)
  t.regex(text('processes'), /Resource temporarily unavailable|can't fork|Cannot fork/i)
  t.regex(text('devices'), /Operation not permitted/)
  t.regex(text('bridge'), /inet 10\./)
  t.regex(text('build'), /^built$/m)
  t.notRegex(text('left'), /kauri/)
  t.regex(text('left'), /^0$/m)
})
