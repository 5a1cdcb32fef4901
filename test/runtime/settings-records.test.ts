import test from 'ava'
import { defaultRuntimeConfig } from '../../src/runtime/default-config.ts'
import { planTag } from '../../src/runtime/plan-writer.ts'
import { addedProcessSettings, settingsRecords } from '../../src/runtime/settings-records.ts'

const base = defaultRuntimeConfig({ args: ['true'], env: [], network: 'none' })

function records(process: object, linux: object = {}): readonly unknown[] {
  return settingsRecords({
    ...base,
    process: { ...base.process, ...process },
    linux: { ...base.linux, ...linux },
  })
}

test('a configuration without settings has no records for them', t => {
  t.deepEqual(records({}), [])
})

test('a scheduler is told by the kernel’s numbers', t => {
  const scheduler = {
    policy: 'SCHED_DEADLINE',
    flags: ['SCHED_FLAG_RESET_ON_FORK', 'SCHED_FLAG_DL_OVERRUN'],
    runtime: 1000,
    deadline: 2000,
    period: 3000,
  }
  t.deepEqual(records({ scheduler }), [[planTag.scheduler, 6, 5n, 0, 0, 1000n, 2000n, 3000n]])
})

test('a priority of input and output holds class and level in one number', t => {
  t.deepEqual(records({ ioPriority: { class: 'IOPRIO_CLASS_BE', priority: 4 } }), [
    [planTag.ioPriority, 0x4004],
  ])
})

test('a memory policy holds mode, flags and nodes', t => {
  const memoryPolicy = { mode: 'MPOL_INTERLEAVE', nodes: '0-1,3', flags: ['MPOL_F_STATIC_NODES'] }
  t.deepEqual(records({}, { memoryPolicy }), [[planTag.memoryPolicy, 3 | (1 << 15), 0b1011n]])
})

for (const nodes of ['', '1-', '3-1', 'a', '99999'])
  test(`${JSON.stringify(nodes)} is no list of nodes`, t => {
    t.throws(() => records({}, { memoryPolicy: { mode: 'MPOL_BIND', nodes } }), { code: 'USAGE' })
  })

for (const [word, bits] of [
  ['shared', 1 << 20],
  ['rslave', 1 << 19],
  ['rprivate', 1 << 18],
  ['unbindable', 1 << 17],
] as const)
  test(`the root is ${word}`, t => {
    t.deepEqual(records({}, { rootfsPropagation: word }), [[planTag.rootPropagation, bits]])
  })

test('CPUs are for added processes alone, the final ones before the initial', t => {
  const execCPUAffinity = { initial: '0', final: '1,9' }
  t.deepEqual(records({ execCPUAffinity }), [])
  const [record] = addedProcessSettings({ execCPUAffinity })
  t.deepEqual(record, [planTag.affinity, Uint8Array.of(2, 2, 0, 0, 0, 0, 0, 0)])
})
