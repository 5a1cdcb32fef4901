// The launcher's plan parser under the address and undefined behaviour sanitizers. KAURI_FUZZ_ROUNDS makes the run long.

import { execFileSync } from 'node:child_process'
import { readdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { defaultRuntimeConfig } from '../../src/runtime/default-config.ts'
import { launchPlan } from '../../src/runtime/launch-plan.ts'
import { encodePlan, type PlanRecord, planTag } from '../../src/runtime/plan-writer.ts'
import { testWith } from '../helpers/needs.ts'
import { makeScratch } from '../helpers/scratch.ts'

const test = testWith({ programs: ['cc'] })

const launcher = path.join(import.meta.dirname, '..', '..', 'src', 'launcher')
const rounds = process.env['KAURI_FUZZ_ROUNDS'] ?? '20000'

function compileFuzzer(target: string): void {
  const parser = readdirSync(launcher).filter(name => /^plan.*\.c$/.test(name))
  const sources = [
    path.join(import.meta.dirname, 'fuzz-plan.c'),
    ...parser.map(name => path.join(launcher, name)),
  ]
  const sanitizers = ['-fsanitize=address,undefined', '-fno-sanitize-recover=all']
  const warnings = ['-std=gnu11', '-Wall', '-Wextra', '-Werror']
  execFileSync('cc', [
    ...warnings,
    '-O1',
    '-g',
    ...sanitizers,
    `-I${launcher}`,
    ...sources,
    '-o',
    target,
  ])
}

/** One record of every kind. */
function plans(): Readonly<Record<string, readonly PlanRecord[]>> {
  const config = defaultRuntimeConfig({
    args: ['sh', '-c', 'true'],
    env: ['PATH=/bin', 'X='],
    network: 'none',
    hostname: 'h',
    user: { uid: 1, gid: 2, additionalGids: [3, 4] },
    oomScoreAdj: -5,
    rlimits: [{ type: 'RLIMIT_CORE', soft: 0, hard: -1 }],
    mounts: [
      { destination: '/d', type: 'bind', source: '/s', options: ['rbind', 'ro'] },
      {
        destination: '/tree',
        type: 'bind',
        source: '/s',
        options: ['ro'],
        tree: { kind: 'directory', lower: ['/a', '/b'], upper: '/u', work: '/w' },
      },
      {
        destination: '/file',
        type: 'bind',
        source: '',
        options: ['ro'],
        file: { content: new Uint8Array(9), mode: 0o400, uid: 1, gid: 2 },
      },
    ],
  })
  const context = {
    io: { kind: 'lines', onLine: () => {} },
    layout: { hierarchies: [] },
    cgroup: {
      directories: [],
      taskFiles: ['/sys/fs/cgroup/a/tasks'],
      version2Directory: '/sys/fs/cgroup/kauri/x',
      deviceProgram: new Uint8Array(32),
      limitsDevices: true,
    },
    network: { outside: new Uint8Array(32), inside: new Uint8Array(16) },
    seccomp: new Uint8Array(64),
  } as const
  const overlay = { kind: 'overlay', lower: ['/a', '/b'], upper: '/u', work: '/w' } as const
  const joined: PlanRecord = [planTag.join, 0x40000000, '/proc/1/ns/net']
  const terminal: PlanRecord = [planTag.terminal, 24, 80]
  const settings: readonly PlanRecord[] = [
    [planTag.mountDetails, 1, 2, 4, 1 << 20, 7, '0 1000 1\n', '0 1000 1\n'],
    [planTag.memoryPolicy, 2, 3n],
    [planTag.scheduler, 6, 1n, -5, 10, 1n, 2n, 3n],
    [planTag.ioPriority, 16_388],
    [planTag.personality, 8],
    [planTag.affinity, new Uint8Array(16)],
    [planTag.label, 'attr/exec', 'label'],
    [planTag.domainName, 'example'],
    [planTag.rootPropagation, 1 << 19],
  ]
  const command = [['/bin/kauri', 'x'], ['A=b']] as const
  const life: readonly PlanRecord[] = [
    [planTag.gate, '/run/kauri/containers/x'],
    [planTag.monitor, '/run/kauri/containers/x', 1, 3],
    [planTag.log, 1, '/log', 1n << 20n, 3],
    [planTag.cleanUp, ...command],
    [planTag.timer, 1n, 30_000n, ...command],
    [planTag.oomFile, '/sys/fs/cgroup/memory/x/memory.oom_control'],
    [planTag.oomFile, '/sys/fs/cgroup/memory/x/memory.events'],
    [planTag.inherited, 2],
    [planTag.hostTurn],
    [planTag.hook, 1, '/bin/hook', 5, ...command],
    [planTag.hook, 2, '/bin/hook', 0, ['hook'], []],
    [planTag.consoleSocket, '/console'],
    [planTag.detached, 1],
    [planTag.userMap, '0 100000 65536\n', '0 100000 65536\n', 1],
    [planTag.timeOffsets, 'monotonic 1 0\n'],
    [planTag.keepKeyring],
  ]
  return {
    overlay: [...launchPlan(config, { ...context, root: overlay }), joined, terminal],
    directory: launchPlan(config, { ...context, root: { kind: 'directory', path: '/r' } }),
    settings: [
      ...launchPlan(config, { ...context, root: { kind: 'directory', path: '/r' } }),
      ...settings,
    ],
    life: [...launchPlan(config, { ...context, root: overlay }), ...life],
    added: [
      [planTag.target, 7, 12_345n, 0x6c02_0000],
      ...launchPlan(config, { ...context, root: overlay }).filter(
        ([tag]) => tag === planTag.user || tag === planTag.directory || tag === planTag.argument,
      ),
    ],
  }
}

test('the parser takes what the writer writes, and no changed plan makes it stumble', t => {
  using scratch = makeScratch()
  compileFuzzer(scratch.at('fuzz'))
  for (const [name, records] of Object.entries(plans())) {
    writeFileSync(scratch.at(name), encodePlan(records))
    const output = execFileSync(scratch.at('fuzz'), [scratch.at(name), rounds, '42'], {
      encoding: 'utf8',
    })
    const [, accepted, all] = /^(\d+) of (\d+) accepted/.exec(output) ?? []
    t.is(all, rounds)
    t.true(Number(accepted) < Number(all), 'changes must not all be overlooked')
  }
})

const refused = [
  { name: 'a plan without a root', records: [[planTag.argument, 'a']] },
  { name: 'an unknown tag', records: [...(plans()['directory'] ?? []), [999]] },
  {
    name: 'a record with bytes left over',
    records: [...(plans()['directory'] ?? []), [planTag.loopback, 1]],
  },
  {
    name: 'a record that is too short',
    records: [...(plans()['directory'] ?? []), [planTag.namespaces]],
  },
  { name: 'a second user', records: [...(plans()['directory'] ?? []), [planTag.user, 0, 0, 0, 0]] },
  {
    name: 'a count of groups beyond the record',
    records: [
      ...(plans()['directory'] ?? []).filter(([tag]) => tag !== planTag.user),
      [planTag.user, 0, 0, 0, 0xffffffff],
    ],
  },
  {
    name: 'a second command for the clean-up',
    records: [...(plans()['life'] ?? []), [planTag.cleanUp, ['/bin/true'], []]],
  },
  {
    name: 'a command without words',
    records: [...(plans()['directory'] ?? []), [planTag.cleanUp, [], []]],
  },
  {
    name: 'more locks than anybody has',
    records: [...(plans()['directory'] ?? []), [planTag.monitor, '/x', 0, 5000]],
  },
  {
    name: 'more descriptors than anybody has',
    records: [...(plans()['directory'] ?? []), [planTag.inherited, 0xffffffff]],
  },
] satisfies { name: string; records: PlanRecord[] }[]

test('plans that are none are refused', t => {
  using scratch = makeScratch()
  compileFuzzer(scratch.at('fuzz'))
  for (const { name, records } of refused) {
    writeFileSync(scratch.at('plan'), encodePlan(records))
    t.throws(
      () => execFileSync(scratch.at('fuzz'), [scratch.at('plan'), '1', '1']),
      undefined,
      name,
    )
  }
})
