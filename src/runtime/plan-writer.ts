// The launcher's plan as bytes: records of a tag and fields. launcher/plan.h has the other side and the format.

import { Buffer } from 'node:buffer'
import { KauriError } from '../core/errors.ts'

/** What a record is about; the numbers are those of `enum plan_tag`. */
export const planTag = {
  namespaces: 1,
  join: 2,
  cgroup: 3,
  deviceProgram: 4,
  hostname: 5,
  loopback: 6,
  rootDirectory: 7,
  rootOverlay: 8,
  filesystem: 9,
  bind: 10,
  device: 11,
  symlink: 12,
  mask: 13,
  readonly: 14,
  sysctl: 15,
  terminal: 16,
  rlimit: 17,
  oomScore: 18,
  user: 19,
  capabilities: 20,
  noNewPrivileges: 21,
  seccomp: 22,
  directory: 23,
  argument: 24,
  environment: 25,
  mergeOutput: 26,
  attributes: 27,
  cgroupDirectory: 28,
  netlinkOutside: 31,
  netlinkInside: 32,
  tree: 29,
  file: 30,
  gate: 33,
  monitor: 34,
  log: 35,
  cleanUp: 36,
  timer: 37,
  oomFile: 38,
  inherited: 39,
  hostTurn: 40,
  hook: 41,
  target: 42,
  consoleSocket: 43,
  detached: 44,
  userMap: 45,
  timeOffsets: 46,
  keepKeyring: 47,
  mountDetails: 64,
  memoryPolicy: 65,
  scheduler: 66,
  ioPriority: 67,
  personality: 68,
  affinity: 69,
  label: 70,
  domainName: 71,
  rootPropagation: 72,
} as const

/** How a mount treats its target and source; the numbers are those of `enum step_flag`. */
export const stepFlag = {
  noLinks: 1,
  overLink: 2,
  recursive: 4,
  recursiveAttributes: 8,
  slave: 16,
  optional: 32,
  onKernelFs: 64,
  bindDevice: 128,
  keep: 256,
} as const

/** number: u32; bigint: u64; string: text; Uint8Array: bytes; array: count and texts. */
type PlanField = number | bigint | string | Uint8Array | readonly string[]

export type PlanRecord = readonly [tag: number, ...fields: PlanField[]]

const magic = 0x3149554b
const headerBytes = 8
const maxPlanBytes = 4 * 1024 * 1024

/** @throws USAGE for a text with a NUL byte, or a plan over 4 MiB */
export function encodePlan(records: readonly PlanRecord[]): Buffer {
  const sizes = records.map(([, ...fields]) => sum(fields.map(field => sizeOf(field))))
  const total = headerBytes + sum(sizes) + 8 * records.length
  if (total > maxPlanBytes)
    throw new KauriError('USAGE', `the container's configuration takes ${total} bytes`, {
      hint: `shorten arguments, environment or mounts: at most ${maxPlanBytes} bytes`,
    })
  const plan = Buffer.allocUnsafe(total)
  let at = writeNumber(plan, 0, magic)
  at = writeNumber(plan, at, total)
  for (const [index, [tag, ...fields]] of records.entries()) {
    at = writeNumber(plan, at, tag)
    at = writeNumber(plan, at, sizes[index] ?? 0)
    for (const field of fields) at = writeField(plan, at, field)
  }
  return plan
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}

function sizeOf(field: PlanField): number {
  if (typeof field === 'number') return 4
  if (typeof field === 'bigint') return 8
  if (typeof field === 'string') return 4 + Buffer.byteLength(field) + 1
  if (field instanceof Uint8Array) return 4 + field.byteLength
  return 4 + sum(field.map(text => sizeOf(text)))
}

// Both architectures that kauri runs on are little-endian.
function writeNumber(plan: Buffer, at: number, value: number): number {
  return plan.writeInt32LE(value | 0, at)
}

function writeField(plan: Buffer, at: number, field: PlanField): number {
  if (typeof field === 'number') return writeNumber(plan, at, field)
  if (typeof field === 'bigint') return plan.writeBigUInt64LE(BigInt.asUintN(64, field), at)
  if (typeof field === 'string') return writeText(plan, at, field)
  if (field instanceof Uint8Array) {
    plan.set(field, writeNumber(plan, at, field.byteLength))
    return at + 4 + field.byteLength
  }
  let next = writeNumber(plan, at, field.length)
  for (const text of field) next = writeText(plan, next, text)
  return next
}

function writeText(plan: Buffer, at: number, text: string): number {
  if (text.includes('\0'))
    throw new KauriError('USAGE', `a NUL byte in ${JSON.stringify(text.slice(0, 60))}`)
  const start = writeNumber(plan, at, Buffer.byteLength(text) + 1)
  const end = start + plan.write(text, start)
  return plan.writeUInt8(0, end)
}
