// The same profile, compiled by libseccomp for other runtimes and by us: the kernel's copies of both filters are run over
// every system call of every ABI.

import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { defaultCapabilities } from '../../src/runtime/capabilities.ts'
import { defaultRuntimeConfig } from '../../src/runtime/default-config.ts'
import { defaultSeccomp } from '../../src/runtime/default-seccomp.ts'
import { testWith } from '../helpers/needs.ts'
import { makeScratch, type Scratch } from '../helpers/scratch.ts'
import { runFilter } from './bpf-machine.ts'
import { makeBench } from './container-bench.ts'
import { smallRoot } from './small-root.ts'

const test = testWith({ root: true, programs: ['runc', 'cc'] })

const arch = process.arch === 'arm64' ? 'arm64' : 'x64'

/** AUDIT_ARCH_ values and the offset of the numbers. */
const abis =
  arch === 'x64'
    ? { x86_64: [0xc000003e, 0], i386: [0x40000003, 0], x32: [0xc000003e, 0x40000000] }
    : { aarch64: [0xc00000b7, 0], arm: [0x40000028, 0] }

/** What libseccomp of Debian 12 knows; newer calls it can only forget, such as uretprobe in an old gap. */
const newestCall = 448
const uretprobe = 335

const someArguments: readonly (readonly bigint[])[] = [
  [0n],
  [1n, 1n],
  [38n],
  [39n],
  [40n],
  [41n],
  [8n],
  [0x20000n],
  [0x20008n],
  [0xffffffffn],
  [0x10000000n],
  [0x7e020000n],
  [0x01200011n],
  [0xffffffff_ffffffffn],
]

function dumpFilter(scratch: Scratch, pid: number): Uint8Array {
  const source = path.join(import.meta.dirname, 'programs', 'dump-filter.c')
  execFileSync('cc', ['-O1', source, '-o', scratch.at('dump')])
  const filters = execFileSync(scratch.at('dump'), [String(pid)])
  return filters.subarray(4, 4 + 8 * filters.readUInt32LE(0))
}

/** A bundle of runc with docker's profile, and nothing that needs this machine's cgroups. */
function filterOfRunc(scratch: Scratch): Uint8Array {
  const base = defaultRuntimeConfig({
    args: ['sleep', '30'],
    env: ['PATH=/bin'],
    network: 'none',
    showCgroups: false,
  })
  const seccomp = defaultSeccomp({ arch, capabilities: defaultCapabilities })
  const { resources: _, devices: __, ...linux } = base.linux
  mkdirSync(scratch.at('bundle'))
  cpSync(smallRoot(), scratch.at('root'), { recursive: true })
  writeFileSync(
    scratch.at('bundle/config.json'),
    JSON.stringify({
      ...base,
      root: { path: scratch.at('root'), readonly: false },
      linux: { ...linux, seccomp },
    }),
  )
  const id = `kauri-peer-${process.pid}`
  const runc = ['--root', scratch.at('state')]
  execFileSync(
    'runc',
    [
      ...runc,
      'run',
      '--detach',
      '--bundle',
      scratch.at('bundle'),
      '--pid-file',
      scratch.at('pid'),
      id,
    ],
    {
      stdio: ['ignore', 'ignore', 'inherit'],
    },
  )
  try {
    return dumpFilter(scratch, Number(readFileSync(scratch.at('pid'), 'utf8')))
  } finally {
    spawnSync('runc', [...runc, 'delete', '--force', id])
  }
}

test('the filter in the kernel answers every call as runc’s does', async t => {
  using scratch = makeScratch()
  using bench = makeBench()
  const theirs = filterOfRunc(scratch)
  let ours: Uint8Array = new Uint8Array()
  await bench.run(bench.config(['sleep', '1']), {
    onStart: ({ pid }) => {
      // Told just before the exec; the filter is there a moment later.
      while (!/^Seccomp:\s+2$/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))) continue
      ours = dumpFilter(scratch, pid)
    },
  })
  t.log(`runc: ${theirs.length / 8} instructions, kauri: ${ours.length / 8}`)
  const differences: string[] = []
  for (const [abi, [archValue = 0, offset = 0]] of Object.entries(abis))
    for (let number = 0; number <= newestCall; number++)
      for (const args of someArguments) {
        if (number === uretprobe && archValue === 0xc000003e) continue
        // Registers of a 32-bit ABI have no upper half; libseccomp does not look at it, we do.
        if (!abi.endsWith('64') && (args[0] ?? 0n) > 0xffffffffn) continue
        const call = { arch: archValue, number: number + offset, args }
        const [their, our] = [theirs, ours].map(filter => runFilter(filter, call).value)
        if (their !== our)
          differences.push(
            `${abi} ${number}(${args[0]}): runc ${their?.toString(16)}, kauri ${our?.toString(16)}`,
          )
      }
  t.deepEqual(differences, [])
})
