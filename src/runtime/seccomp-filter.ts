// Compiles a seccomp profile to the classic BPF program that the kernel loads (runtime-spec v1.2.1
// config-linux.md#seccomp, man 2 seccomp). For each ABI the call numbers with equal answers become ranges, found by binary
// search; conditions on arguments compare 64 bits, of which 32-bit ABIs have the upper half zero.

import { Buffer } from 'node:buffer'
import { KauriError } from '../core/errors.ts'
import type { SeccompConfig, SeccompRule } from '../oci/runtime-config.ts'
import { type SyscallAbi, syscallNumbers } from './syscall-tables.ts'

/** One instruction: code, offsets for true and false, constant. */
export type BpfInstruction = readonly [code: number, jt: number, jf: number, k: number]
type Code = readonly BpfInstruction[]

const load = 0x20
const and = 0x54
const jump = 0x05
const jumpEqual = 0x15
const jumpGreater = 0x25
const jumpGreaterOrEqual = 0x35
const answer = 0x06

/** Offsets in struct seccomp_data, little-endian. */
const offsetOfNumber = 0
const offsetOfArch = 4
const offsetOfArgs = 16

const killProcess = 0x80000000
const errno = 0x00050000
const ENOSYS = 38

const x32Bit = 0x40000000

/** Numbers from here on are calls of one ABI alone, above those that all of them share and that grow. */
const firstPrivateNumber: Readonly<Partial<Record<SyscallAbi, number>>> = { X32: 512, ARM: 0xf0000 }

/** The kernel takes no more. */
const maxInstructions = 4096

/** AUDIT_ARCH_ values; x32 shares that of x86_64 and is told by a bit of the number. */
const auditArch: Readonly<Record<Exclude<SyscallAbi, 'X32'>, number>> = {
  X86_64: 0xc000003e,
  X86: 0x40000003,
  AARCH64: 0xc00000b7,
  ARM: 0x40000028,
}

/** The program's bytes. @throws UNSUPPORTED for actions, operators and architectures that are not served */
export function compileSeccomp(profile: SeccompConfig): Buffer {
  const program = assemble(profile)
  if (program.length > maxInstructions)
    throw new KauriError(
      'UNSUPPORTED',
      `the seccomp profile compiles to ${program.length} instructions, the kernel takes ${maxInstructions}`,
    )
  const bytes = Buffer.allocUnsafe(program.length * 8)
  for (const [index, [code, jt, jf, k]] of program.entries()) {
    bytes.writeUInt16LE(code, index * 8)
    bytes.writeUInt8(jt, index * 8 + 2)
    bytes.writeUInt8(jf, index * 8 + 3)
    bytes.writeUInt32LE(k, index * 8 + 4)
  }
  return bytes
}

function assemble(profile: SeccompConfig): Code {
  const abis = (profile.architectures ?? []).map(name => abiOf(name))
  const program: BpfInstruction[] = [[load, 0, 0, offsetOfArch]]
  for (const abi of abis) {
    if (abi === 'X32') continue
    const block = [
      [load, 0, 0, offsetOfNumber] as const,
      ...(abi === 'X86_64' ? x32Block(profile, abis) : []),
      ...callTree(profile, abi),
    ]
    program.push([jumpEqual, 1, 0, auditArch[abi]], [jump, 0, 0, block.length], ...block)
  }
  // A process that switches to an ABI that the profile does not know would otherwise escape it.
  return [...program, [answer, 0, 0, killProcess]]
}

function abiOf(name: string): SyscallAbi {
  const abi = name.replace(/^SCMP_ARCH_/, '')
  if (abi === 'X86_64' || abi === 'X86' || abi === 'X32' || abi === 'AARCH64' || abi === 'ARM')
    return abi
  throw new KauriError('UNSUPPORTED', `seccomp architecture ${name} is not supported`)
}

function x32Block(profile: SeccompConfig, abis: readonly SyscallAbi[]): Code {
  const block: Code = abis.includes('X32')
    ? [[and, 0, 0, ~x32Bit >>> 0], ...callTree(profile, 'X32')]
    : [[answer, 0, 0, killProcess]]
  return [[jumpGreaterOrEqual, 1, 0, x32Bit], [jump, 0, 0, block.length], ...block]
}

/** Numbers from `start` up to the next range's start have this code. */
interface Range {
  readonly start: number
  readonly code: Code
}

function callTree(profile: SeccompConfig, abi: SyscallAbi): Code {
  return searchTree(mergeRanges(callRanges(profile, abi)))
}

function callRanges(profile: SeccompConfig, abi: SyscallAbi): Range[] {
  const rules = rulesByName(profile)
  const { defaultAction, defaultErrnoRet } = profile
  const byDefault = returns(actionValue(defaultAction, defaultErrnoRet))
  const privateStart = firstPrivateNumber[abi] ?? Infinity
  const known = [...syscallNumbers(abi)]
    .flatMap(([name, start]) => {
      const own = rules.get(name)
      if (own !== undefined) return [{ start, code: codeFor(own, byDefault) }]
      return start >= privateStart ? [{ start, code: byDefault }] : []
    })
    .toSorted((a, b) => a.start - b.start)
  const newest = known.findLast(({ start }) => start < privateStart)?.start ?? -1
  // Calls newer than the profile: a library that meets ENOSYS takes the older call, one that meets EPERM gives up.
  const unknown = isRefusal(defaultAction) ? returns(errno | ENOSYS) : byDefault
  const ranges: Range[] = [{ start: 0, code: byDefault }]
  for (const range of known) {
    // Two names of one number: what followed the first starts where the second does.
    if (ranges.at(-2)?.start === range.start) ranges.pop()
    ranges.push(range, { start: range.start + 1, code: range.start < newest ? byDefault : unknown })
  }
  return ranges
}

/** Neighbours with one answer become one; of ranges that start together the last holds. */
function mergeRanges(ranges: readonly Range[]): Range[] {
  const merged: Range[] = []
  for (const range of ranges) {
    if (merged.at(-1)?.start === range.start) merged.pop()
    if (String(merged.at(-1)?.code) !== String(range.code)) merged.push(range)
  }
  return merged
}

function searchTree(ranges: readonly Range[]): Code {
  const [only] = ranges
  if (ranges.length < 2 || only === undefined) return only?.code ?? []
  const middle = ranges.length >> 1
  const below = searchTree(ranges.slice(0, middle))
  const above = searchTree(ranges.slice(middle))
  const start = ranges[middle]?.start ?? 0
  // Conditional jumps reach 255 instructions, unconditional ones any distance.
  return below.length <= 255
    ? [[jumpGreaterOrEqual, below.length, 0, start], ...below, ...above]
    : [[jumpGreaterOrEqual, 0, 1, start], [jump, 0, 0, below.length], ...below, ...above]
}

function rulesByName(profile: SeccompConfig): Map<string, SeccompRule[]> {
  const rules = new Map<string, SeccompRule[]>()
  for (const rule of profile.syscalls)
    for (const name of rule.names) {
      const known = rules.get(name)
      if (known === undefined) rules.set(name, [rule])
      else known.push(rule)
    }
  return rules
}

/** A value in the accumulator's place ends the program. */
function returns(value: number): Code {
  return [[answer, 0, 0, value >>> 0]]
}

/** Rules of one call in their order: the first whose conditions all hold answers, one without conditions always does. */
function codeFor(rules: readonly SeccompRule[], byDefault: Code): Code {
  const last = rules.findIndex(({ args = [] }) => args.length === 0)
  const conditional = last < 0 ? rules : rules.slice(0, last)
  return [
    ...conditional.flatMap(rule => conditions(rule.args ?? [], returns(valueOf(rule)))),
    ...(last < 0 ? byDefault : rules.slice(last, last + 1).flatMap(rule => returns(valueOf(rule)))),
  ]
}

function valueOf({ action, errnoRet }: SeccompRule): number {
  return actionValue(action, errnoRet)
}

type Argument = NonNullable<SeccompRule['args']>[number]

/** `then` where all conditions hold; where one does not, what follows `then`. */
function conditions(args: readonly Argument[], onTrue: Code): Code {
  return args.reduceRight<Code>((code, argument) => condition(argument, code), onTrue)
}

function condition(argument: Argument, onTrue: Code): Code {
  const value = BigInt.asUintN(64, BigInt(argument.value))
  const valueTwo = BigInt.asUintN(64, BigInt(argument.valueTwo ?? 0))
  const low = offsetOfArgs + 8 * argument.index
  const high = low + 4
  const comparison = { low, high, value, onTrue }
  switch (argument.op) {
    case 'SCMP_CMP_EQ':
      return isEqual(comparison)
    case 'SCMP_CMP_MASKED_EQ':
      return isEqual({ ...comparison, value: valueTwo, mask: value })
    case 'SCMP_CMP_NE':
      return not(isEqual({ ...comparison, onTrue: marker }), onTrue)
    case 'SCMP_CMP_GT':
      return isGreater(comparison, jumpGreater)
    case 'SCMP_CMP_GE':
      return isGreater(comparison, jumpGreaterOrEqual)
    case 'SCMP_CMP_LT':
      return not(isGreater({ ...comparison, onTrue: marker }, jumpGreaterOrEqual), onTrue)
    case 'SCMP_CMP_LE':
      return not(isGreater({ ...comparison, onTrue: marker }, jumpGreater), onTrue)
    default:
      throw new KauriError('UNSUPPORTED', `seccomp operator ${argument.op} is not supported`)
  }
}

interface Comparison {
  readonly low: number
  readonly high: number
  readonly value: bigint
  readonly mask?: bigint
  readonly onTrue: Code
}

/** Stands for the code of a condition that is being negated: where it holds, jump over what follows. */
const marker: Code = [[jump, 0, 0, 0]]

/** Turns a condition around: `test` ends with the marker, which becomes a jump over `then`. */
function not(test: Code, onTrue: Code): Code {
  return [...test.slice(0, -1), [jump, 0, 0, onTrue.length], ...onTrue]
}

function isEqual({ low, high, value, mask, onTrue }: Comparison): Code {
  const upper = mask === undefined ? [] : [[and, 0, 0, upperHalf(mask)] as const]
  const lower = mask === undefined ? [] : [[and, 0, 0, lowerHalf(mask)] as const]
  const last: Code = [
    [load, 0, 0, low],
    ...lower,
    [jumpEqual, 0, onTrue.length, lowerHalf(value)],
    ...onTrue,
  ]
  return [[load, 0, 0, high], ...upper, [jumpEqual, 0, last.length, upperHalf(value)], ...last]
}

function isGreater({ low, high, value, onTrue }: Comparison, jumpLow: number): Code {
  const last: Code = [[load, 0, 0, low], [jumpLow, 0, onTrue.length, lowerHalf(value)], ...onTrue]
  return [
    [load, 0, 0, high],
    [jumpGreater, last.length - onTrue.length + 1, 0, upperHalf(value)],
    [jumpEqual, 0, last.length, upperHalf(value)],
    ...last,
  ]
}

function upperHalf(value: bigint): number {
  return Number(value >> 32n)
}

function lowerHalf(value: bigint): number {
  return Number(value & 0xffffffffn)
}

/** SECCOMP_RET_ values (linux/seccomp.h). */
function actionValue(action: string, errnoRet = 1): number {
  switch (action) {
    case 'SCMP_ACT_ALLOW':
      return 0x7fff0000
    case 'SCMP_ACT_ERRNO':
      return errno | (errnoRet & 0xffff)
    case 'SCMP_ACT_KILL':
    case 'SCMP_ACT_KILL_THREAD':
      return 0
    case 'SCMP_ACT_KILL_PROCESS':
      return killProcess
    case 'SCMP_ACT_TRAP':
      return 0x00030000
    case 'SCMP_ACT_LOG':
      return 0x7ffc0000
    case 'SCMP_ACT_TRACE':
      return 0x7ff00000 | (errnoRet & 0xffff)
    default:
      throw new KauriError('UNSUPPORTED', `seccomp action ${action} is not supported`)
  }
}

function isRefusal(action: string): boolean {
  return action !== 'SCMP_ACT_ALLOW' && action !== 'SCMP_ACT_LOG' && action !== 'SCMP_ACT_TRACE'
}
