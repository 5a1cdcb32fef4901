// Runs classic BPF programs over made-up system calls, as the kernel would.

/** One system call as a filter sees it. */
export interface Call {
  /** AUDIT_ARCH_ value. */
  readonly arch: number
  readonly number: number
  readonly args?: readonly bigint[]
}

/** What the filter answers, and after how many instructions. */
export interface Verdict {
  readonly value: number
  readonly steps: number
}

/** @throws Error for anything that the kernel's verifier would refuse */
export function runFilter(filter: Uint8Array, call: Call): Verdict {
  const program = Buffer.from(filter.buffer, filter.byteOffset, filter.byteLength)
  const data = callData(call)
  let accumulator = 0
  let at = 0
  for (let steps = 1; ; steps++) {
    if (at * 8 >= program.length) throw new Error(`the program runs off its end at ${at}`)
    const code = program.readUInt16LE(at * 8)
    const whenTrue = program.readUInt8(at * 8 + 2)
    const whenFalse = program.readUInt8(at * 8 + 3)
    const constant = program.readUInt32LE(at * 8 + 4)
    at++
    if (code === 0x20) accumulator = data.readUInt32LE(constant)
    else if (code === 0x54) accumulator = (accumulator & constant) >>> 0
    else if (code === 0x05) at += constant
    else if (code === 0x15) at += accumulator === constant ? whenTrue : whenFalse
    else if (code === 0x25) at += accumulator > constant ? whenTrue : whenFalse
    else if (code === 0x35) at += accumulator >= constant ? whenTrue : whenFalse
    else if (code === 0x45) at += (accumulator & constant) === 0 ? whenFalse : whenTrue
    else if (code === 0x06) return { value: constant, steps }
    else throw new Error(`unknown instruction ${code.toString(16)}`)
  }
}

/** struct seccomp_data: number, architecture, instruction pointer, six arguments. */
function callData({ arch, number, args = [] }: Call): Buffer {
  const data = Buffer.alloc(64)
  data.writeUInt32LE(number >>> 0, 0)
  data.writeUInt32LE(arch, 4)
  for (const [index, value] of args.entries())
    data.writeBigUInt64LE(BigInt.asUintN(64, value), 16 + 8 * index)
  return data
}
