import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import test from 'ava'
import type { SeccompConfig } from '../../src/oci/runtime-config.ts'
import { defaultCapabilities } from '../../src/runtime/capabilities.ts'
import { defaultSeccomp } from '../../src/runtime/default-seccomp.ts'
import { filterRevision } from '../../src/runtime/seccomp-cache.ts'
import { compileSeccomp } from '../../src/runtime/seccomp-filter.ts'
import { type SyscallAbi, syscallNumbers } from '../../src/runtime/syscall-tables.ts'
import { runFilter } from './bpf-machine.ts'

const allow = 0x7fff0000
const refuse = 0x00050001
const unknown = 0x00050026
const succeed = 0x00050000
const kill = 0x80000000

const archOf: Record<SyscallAbi, number> = {
  X86_64: 0xc000003e,
  X32: 0xc000003e,
  X86: 0x40000003,
  AARCH64: 0xc00000b7,
  ARM: 0x40000028,
}
const x32Bit = 0x40000000

interface Compiled {
  readonly x64: Uint8Array
  readonly arm64: Uint8Array
}

function compileDefault(capabilities: readonly string[], fakeSync = false): Compiled {
  const options = { capabilities, fakeSync }
  return {
    x64: compileSeccomp(defaultSeccomp({ ...options, arch: 'x64' })),
    arm64: compileSeccomp(defaultSeccomp({ ...options, arch: 'arm64' })),
  }
}

const ordinary = compileDefault(defaultCapabilities)
const privileged = compileDefault([...defaultCapabilities, 'CAP_SYS_ADMIN', 'CAP_SYSLOG'])
const building = compileDefault(defaultCapabilities, true)

function answer(filters: Compiled, abi: SyscallAbi, call: string | number, ...args: bigint[]) {
  const number = typeof call === 'number' ? call : syscallNumbers(abi).get(call)
  if (number === undefined) throw new Error(`no ${call} on ${abi}`)
  const filter = abi === 'AARCH64' || abi === 'ARM' ? filters.arm64 : filters.x64
  const shown = abi === 'X32' ? number | x32Bit : number
  return runFilter(filter, { arch: archOf[abi], number: shown, args })
}

const abis: readonly SyscallAbi[] = ['X86_64', 'X86', 'X32', 'AARCH64', 'ARM']

for (const abi of abis) {
  test(`${abi}: ordinary calls pass, calls on the kernel do not`, t => {
    for (const call of ['read', 'openat', 'execve', 'futex', 'mknodat', 'chroot', 'statx'])
      t.is(answer(ordinary, abi, call).value, allow, call)
    for (const call of ['mount', 'pivot_root', 'bpf', 'unshare', 'setns', 'init_module', 'keyctl'])
      t.is(answer(ordinary, abi, call).value, refuse, call)
    for (const call of ['io_uring_setup', 'userfaultfd', 'open_by_handle_at', 'kexec_load'])
      t.is(answer(ordinary, abi, call).value, refuse, call)
  })

  test(`${abi}: calls newer than the profile are unknown, not forbidden`, t => {
    t.is(answer(ordinary, abi, 467).value, unknown)
    t.is(answer(ordinary, abi, 1000).value, unknown)
    t.is(answer(ordinary, abi, 'clone3').value, unknown)
  })

  test(`${abi}: a clone that makes namespaces is refused`, t => {
    t.is(answer(ordinary, abi, 'clone', 0x11n).value, allow)
    for (const flag of [0x20000n, 0x2000000n, 0x4000000n, 0x8000000n, 0x10000000n, 0x40000000n])
      t.is(answer(ordinary, abi, 'clone', 0x11n | flag).value, refuse, flag.toString(16))
    t.is(answer(privileged, abi, 'clone', 0x10000000n).value, allow)
    t.is(answer(privileged, abi, 'clone3').value, allow)
  })

  test(`${abi}: socket families of the kernel's crypto and of virtual machines are refused`, t => {
    const socket = (family: bigint) => answer(ordinary, abi, 'socket', family).value
    for (const family of [1n, 2n, 10n, 16n, 37n, 39n, 41n, 45n]) t.is(socket(family), allow)
    for (const family of [38n, 40n]) t.is(socket(family), refuse)
  })

  test(`${abi}: a personality is one of the five`, t => {
    const personality = (value: bigint) => answer(ordinary, abi, 'personality', value).value
    for (const value of [0n, 8n, 0x20000n, 0x20008n, 0xffffffffn]) t.is(personality(value), allow)
    for (const value of [1n, 0x40000n, 0x0400000n, 0xffffffff_ffffffffn])
      t.is(personality(value), refuse)
  })

  test(`${abi}: sync calls of a build succeed at once`, t => {
    for (const call of ['fsync', 'fdatasync', 'sync', 'syncfs', 'msync']) {
      t.is(answer(building, abi, call).value, succeed, call)
      t.is(answer(ordinary, abi, call).value, allow, call)
    }
  })

  test(`${abi}: an answer takes few instructions`, t => {
    for (const [name] of syscallNumbers(abi)) {
      const { steps } = answer(ordinary, abi, name)
      t.true(steps < 50, `${name} takes ${steps}`)
    }
  })
}

test('capabilities let their calls through', t => {
  t.is(answer(privileged, 'X86_64', 'mount').value, allow)
  t.is(answer(privileged, 'X86_64', 'syslog').value, allow)
  t.is(answer(ordinary, 'X86_64', 'syslog').value, refuse)
  const withoutChroot = compileDefault(['CAP_CHOWN'])
  t.is(answer(withoutChroot, 'X86_64', 'chroot').value, refuse)
})

test('a process of an unknown architecture is killed', t => {
  t.is(runFilter(ordinary.x64, { arch: archOf.AARCH64, number: 0 }).value, kill)
  t.is(runFilter(ordinary.arm64, { arch: archOf.X86_64, number: 0 }).value, kill)
})

test('seccomp bypass by x32: without it in the profile its calls are killed', t => {
  const profile = defaultSeccomp({ arch: 'x64', capabilities: [] })
  const filter = compileSeccomp({ ...profile, architectures: ['SCMP_ARCH_X86_64'] })
  t.is(runFilter(filter, { arch: archOf.X86_64, number: x32Bit }).value, kill)
  t.is(runFilter(filter, { arch: archOf.X86_64, number: 0 }).value, allow)
})

const operators: Record<string, (argument: bigint, value: bigint) => boolean> = {
  SCMP_CMP_EQ: (argument, value) => argument === value,
  SCMP_CMP_NE: (argument, value) => argument !== value,
  SCMP_CMP_GT: (argument, value) => argument > value,
  SCMP_CMP_GE: (argument, value) => argument >= value,
  SCMP_CMP_LT: (argument, value) => argument < value,
  SCMP_CMP_LE: (argument, value) => argument <= value,
}

const edges = [0n, 1n, 0x7fffffffn, 0xffffffffn, 0x1_00000000n, 0x1_00000001n, 0xffffffff_ffffffffn]

for (const [op, holds] of Object.entries(operators))
  test(`${op} compares all 64 bits of an argument`, t => {
    for (const value of edges) {
      const filter = compileSeccomp(profileWith([{ index: 3, value, op }]))
      for (const argument of edges) {
        const args = [0n, 0n, 0n, argument]
        const verdict = runFilter(filter, { arch: archOf.X86_64, number: 1, args }).value
        t.is(verdict, holds(argument, value) ? allow : refuse, `${argument} ${op} ${value}`)
      }
    }
  })

test('SCMP_CMP_MASKED_EQ compares under its mask, also in the upper half', t => {
  const mask = {
    index: 0,
    value: 0xff_0000000fn,
    valueTwo: 0x12_00000003n,
    op: 'SCMP_CMP_MASKED_EQ',
  }
  const filter = compileSeccomp(profileWith([mask]))
  const verdict = (argument: bigint) =>
    runFilter(filter, { arch: archOf.X86_64, number: 1, args: [argument] }).value
  t.is(verdict(0x12_00000003n), allow)
  t.is(verdict(0xf12_fffffff3n), allow)
  t.is(verdict(0x13_00000003n), refuse)
  t.is(verdict(0x12_00000002n), refuse)
})

test('all conditions of a rule must hold, any of several rules may', t => {
  const filter = compileSeccomp({
    ...profileWith([
      { index: 0, value: 1, op: 'SCMP_CMP_EQ' },
      { index: 1, value: 2, op: 'SCMP_CMP_GT' },
    ]),
  })
  const verdict = (...args: bigint[]) =>
    runFilter(filter, { arch: archOf.X86_64, number: 1, args }).value
  t.is(verdict(1n, 3n), allow)
  t.is(verdict(1n, 2n), refuse)
  t.is(verdict(0n, 3n), refuse)
})

/** write(2) under conditions, everything else refused. */
function profileWith(args: NonNullable<SeccompConfig['syscalls'][number]['args']>): SeccompConfig {
  return {
    defaultAction: 'SCMP_ACT_ERRNO',
    architectures: ['SCMP_ARCH_X86_64'],
    syscalls: [{ names: ['write', 'pwrite2000'], action: 'SCMP_ACT_ALLOW', args }],
  }
}

for (const { name, profile, message } of [
  {
    name: 'an unknown action',
    profile: { defaultAction: 'SCMP_ACT_NOTIFY' },
    message: /action SCMP_ACT_NOTIFY/,
  },
  {
    name: 'an unknown architecture',
    profile: { architectures: ['SCMP_ARCH_S390'] },
    message: /architecture SCMP_ARCH_S390/,
  },
])
  test(`${name} is refused`, t => {
    t.throws(() => compileSeccomp({ ...profileWith([]), ...profile }), { message })
  })

test('an unknown operator is refused', t => {
  const args = [{ index: 0, value: 1, op: 'SCMP_CMP_LIKE' }]
  t.throws(() => compileSeccomp(profileWith(args)), { message: /operator SCMP_CMP_LIKE/ })
})

/** Prints the numbers of the installed headers. */
const headers: Partial<Record<SyscallAbi, string>> =
  process.arch === 'x64' ? { X86_64: 'unistd_64.h', X86: 'unistd_32.h' } : {}

for (const [abi, header] of Object.entries(headers) as [SyscallAbi, string][])
  (existsSync(`/usr/include/x86_64-linux-gnu/asm/${header}`) ? test : test.skip)(
    `${abi}: the numbers are those of the kernel's headers`,
    t => {
      const text = execFileSync('cc', ['-E', '-dM', '-xc', '-'], {
        input: `#include <asm/${header}>\n`,
        encoding: 'utf8',
      })
      const numbers = syscallNumbers(abi)
      for (const [, name = '', number] of text.matchAll(/^#define __NR_(\w+) (\d+)$/gm))
        t.is(numbers.get(name), Number(number), name)
    },
  )

test('the cached filters are renamed when their bytes change', t => {
  const bytes = [ordinary, privileged, building].flatMap(({ x64, arm64 }) => [x64, arm64])
  const hash = createHash('sha256').update(Buffer.concat(bytes)).digest('hex')
  // When this fails, count filterRevision up and take the new hash.
  t.deepEqual([filterRevision, hash.slice(0, 16)], [1, 'be4700a18b6f44a3'])
})
