import test from 'ava'
import type { DeviceRule } from '../../src/oci/runtime-config.ts'
import { compileDeviceRules, formatDeviceRule } from '../../src/runtime/device-program.ts'

const accessBits = { m: 1, r: 2, w: 4 }

/** Runs the few eBPF instructions that device programs are made of. */
function asks(
  program: Uint8Array,
  device: { type: 'b' | 'c'; access: keyof typeof accessBits; major: number; minor: number },
): boolean {
  const code = Buffer.from(program)
  const context = [
    (accessBits[device.access] << 16) | (device.type === 'b' ? 1 : 2),
    device.major,
    device.minor,
  ]
  const registers: number[] = Array.from({ length: 11 }, () => 0)
  for (let at = 0; ; at++) {
    const operation = code.readUInt8(at * 8)
    const target = code.readUInt8(at * 8 + 1) & 15
    const source = code.readUInt8(at * 8 + 1) >> 4
    const offset = code.readInt16LE(at * 8 + 2)
    const constant = code.readInt32LE(at * 8 + 4)
    const value = registers[target] ?? 0
    if (operation === 0x61) registers[target] = context[offset / 4] ?? 0
    else if (operation === 0xbc) registers[target] = registers[source] ?? 0
    else if (operation === 0xb4) registers[target] = constant
    else if (operation === 0x54) registers[target] = value & constant
    else if (operation === 0x74) registers[target] = value >>> constant
    else if (operation === 0x55) at += value === constant ? 0 : offset
    else if (operation === 0x95) return registers[0] === 1
    else throw new Error(`unknown instruction ${operation.toString(16)}`)
  }
}

const rules: readonly DeviceRule[] = [
  { allow: false },
  { allow: true, type: 'c', access: 'm' },
  { allow: true, type: 'c', major: 1, minor: 3, access: 'rwm' },
  { allow: true, type: 'c', major: 136, access: 'rwm' },
  { allow: true, type: 'b', major: 8, access: 'r' },
  { allow: false, type: 'c', major: 136, minor: 7 },
]

const program = compileDeviceRules(rules)

for (const { name, type, access, major, minor, want } of [
  { name: 'a listed device', type: 'c', access: 'w', major: 1, minor: 3, want: true },
  { name: 'its neighbour', type: 'c', access: 'r', major: 1, minor: 4, want: false },
  { name: 'a node of anything', type: 'c', access: 'm', major: 10, minor: 229, want: true },
  { name: 'a block node', type: 'b', access: 'm', major: 254, minor: 0, want: false },
  { name: 'a disk', type: 'b', access: 'r', major: 254, minor: 0, want: false },
  { name: 'any minor number', type: 'c', access: 'r', major: 136, minor: 99, want: true },
  {
    name: 'what a later rule takes back',
    type: 'c',
    access: 'r',
    major: 136,
    minor: 7,
    want: false,
  },
  {
    name: 'reading where only that is allowed',
    type: 'b',
    access: 'r',
    major: 8,
    minor: 1,
    want: true,
  },
  { name: 'writing there', type: 'b', access: 'w', major: 8, minor: 1, want: false },
] as const)
  test(`version 2 devices: ${name} is ${want ? 'allowed' : 'refused'}`, t => {
    t.is(asks(program, { type, access, major, minor }), want)
  })

test('rules are written as version 1 takes them', t => {
  t.deepEqual(
    rules.map(rule => formatDeviceRule(rule)),
    ['a', 'c *:* m', 'c 1:3 rwm', 'c 136:* rwm', 'b 8:* r', 'c 136:7 rwm'],
  )
})

test('without a rule for everything what no rule names is refused', t => {
  const narrow = compileDeviceRules([{ allow: true, type: 'c', major: 1, minor: 3 }])
  t.true(asks(narrow, { type: 'c', access: 'r', major: 1, minor: 3 }))
  t.false(asks(narrow, { type: 'c', access: 'r', major: 1, minor: 5 }))
})
