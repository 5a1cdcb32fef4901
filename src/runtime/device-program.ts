// Which devices a container may use. Version 1 takes rules as text; for version 2 they become an eBPF program that the
// kernel runs at each open and mknod (BPF_PROG_TYPE_CGROUP_DEVICE, linux/bpf.h).

import { Buffer } from 'node:buffer'
import type { DeviceRule } from '../oci/runtime-config.ts'

/** A rule as devices.allow and devices.deny take it. */
export function formatDeviceRule({ type = 'a', major, minor, access = 'rwm' }: DeviceRule): string {
  if (type === 'a' && major === undefined && minor === undefined) return 'a'
  return `${type} ${major ?? '*'}:${minor ?? '*'} ${access}`
}

/** struct bpf_insn: code, registers (source << 4 | target), offset, constant. */
type Instruction = readonly [code: number, registers: number, offset: number, constant: number]

const loadWord = 0x61
const moveConstant = 0xb4
const moveRegister = 0xbc
const andConstant = 0x54
const shiftRight = 0x74
const jumpNotEqual = 0x55
const exit = 0x95

/** Registers: r1 holds the kernel's record, r2 type, r3 access, r4 major, r5 minor, r6 is for sums. */
const result = 0
const record = 1
const type = 2
const access = 3
const major = 4
const minor = 5
const scratch = 6

const typeNumbers = { b: 1, c: 2 } as const
const accessBits: Readonly<Record<string, number>> = { m: 1, r: 2, w: 4 }

/** The program's bytes. The last rule that fits decides; where none does, the device is refused. */
export function compileDeviceRules(rules: readonly DeviceRule[]): Uint8Array {
  const program: Instruction[] = [
    [loadWord, (record << 4) | type, 0, 0],
    [moveRegister, (type << 4) | access, 0, 0],
    [shiftRight, access, 0, 16],
    [andConstant, type, 0, 0xffff],
    [loadWord, (record << 4) | major, 4, 0],
    [loadWord, (record << 4) | minor, 8, 0],
  ]
  // A rule for everything decides all that is left; the kernel refuses a program with code that is never reached.
  const last = rules.findLastIndex(rule => ruleCode(rule).length === verdictLength)
  for (const rule of rules.slice(Math.max(last, 0)).toReversed()) program.push(...ruleCode(rule))
  if (last < 0) program.push(...verdict(false))
  return encode(program)
}

const verdictLength = 2

function verdict(allow: boolean): Instruction[] {
  return [
    [moveConstant, result, 0, allow ? 1 : 0],
    [exit, 0, 0, 0],
  ]
}

function ruleCode(rule: DeviceRule): Instruction[] {
  const tests: Instruction[] = []
  const ruleType = rule.type ?? 'a'
  if (ruleType !== 'a') tests.push([jumpNotEqual, type, 0, typeNumbers[ruleType]])
  if (rule.major !== undefined) tests.push([jumpNotEqual, major, 0, rule.major])
  if (rule.minor !== undefined) tests.push([jumpNotEqual, minor, 0, rule.minor])
  const bits = (rule.access ?? 'rwm')
    .split('')
    .reduce((sum, letter) => sum | (accessBits[letter] ?? 0), 0)
  // An allowance must cover all that is asked for; it is left where a bit remains outside.
  if (bits !== 7)
    tests.push(
      [moveRegister, (access << 4) | scratch, 0, 0],
      [andConstant, scratch, 0, ~bits & 7],
      [jumpNotEqual, scratch, 0, 0],
    )
  const code = [...tests, ...verdict(rule.allow)]
  return code.map((instruction, index) =>
    instruction[0] === jumpNotEqual
      ? [jumpNotEqual, instruction[1], code.length - index - 1, instruction[3]]
      : instruction,
  )
}

function encode(program: readonly Instruction[]): Uint8Array {
  const bytes = Buffer.alloc(program.length * 8)
  for (const [index, [code, registers, offset, constant]] of program.entries()) {
    bytes.writeUInt8(code, index * 8)
    bytes.writeUInt8(registers, index * 8 + 1)
    bytes.writeInt16LE(offset, index * 8 + 2)
    bytes.writeInt32LE(constant, index * 8 + 4)
  }
  return bytes
}
