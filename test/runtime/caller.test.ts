// Containers without a monitor: their maker leaves them to whoever takes its children, or stays.

import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, readlinkSync, rmdirSync } from 'node:fs'
import process from 'node:process'
import type { RuntimeConfig } from '../../src/oci/runtime-config.ts'
import { readCgroupLayout } from '../../src/runtime/cgroup-layout.ts'
import type { CreateOptions } from '../../src/runtime/container-runtime.ts'
import { eventually } from '../helpers/eventually.ts'
import { testWith } from '../helpers/needs.ts'
import { processesWith } from './container-bench.ts'
import { type LifeBench, makeLifeBench } from './life-bench.ts'

const test = testWith({ root: true })

let count = 0
const newId = (): string => `test-${process.pid}-caller-${++count}`
const newWord = (): string => `9${process.pid}.${++count}`

/** Creates a container that leaves this process. */
async function create(
  bench: LifeBench,
  config: RuntimeConfig,
  { hooks, ...supervision }: Partial<CreateOptions['supervision'] & CreateOptions> = {},
): Promise<string> {
  const id = newId()
  await bench.runtime.create(
    { id, config, root: bench.root },
    {
      supervision: { preserveFds: 0, ...supervision, kind: 'caller' },
      ...(hooks === undefined ? {} : { hooks }),
    },
  )
  return id
}

test('it is created, started, seen to end, and deleted', async t => {
  await using bench = makeLifeBench()
  const id = await create(bench, bench.config(['touch', '/begun']))
  const { status, pid = 0 } = bench.runtime.state(id) ?? {}
  t.is(status, 'created')
  t.false(existsSync(`${bench.upper}/begun`))
  t.is(readlinkSync(`/proc/${pid}/cwd`), '/')
  await bench.runtime.start(id)
  await bench.runtime.wait(id)
  t.true(existsSync(`${bench.upper}/begun`))
  t.is(bench.runtime.state(id)?.status, 'stopped')
  await bench.runtime.delete(id)
  t.deepEqual(bench.runtime.list(), [])
})

test('who stays learns the exit code', async t => {
  await using bench = makeLifeBench()
  const id = await create(bench, bench.config(['sh', '-c', 'exit 42']), { stay: true })
  await bench.runtime.start(id)
  t.is((await bench.runtime.wait(id)).code, 42)
  await bench.runtime.delete(id)
})

test('a created container dies of signals, and cannot be started then', async t => {
  await using bench = makeLifeBench()
  const id = await create(bench, bench.config(['true']))
  bench.runtime.kill(id, 'SIGTERM')
  t.true(await eventually(() => bench.runtime.state(id)?.status === 'stopped'))
  await t.throwsAsync(bench.runtime.start(id), { code: 'CONTAINER_NOT_RUNNING' })
  await bench.runtime.delete(id)
})

test('without a pid namespace of its own it ends as a whole, too', async t => {
  await using bench = makeLifeBench()
  const word = newWord()
  const config = bench.config(['sh', '-c', `setsid sleep ${word} & sleep ${word} & wait`])
  const namespaces = config.linux.namespaces.filter(({ type }) => type !== 'pid')
  const id = await create(bench, { ...config, linux: { ...config.linux, namespaces } })
  await bench.runtime.start(id)
  t.true(await eventually(() => processesWith(word).length === 3))
  const { pid = 0 } = bench.runtime.state(id) ?? {}
  t.is(readlinkSync(`/proc/${pid}/ns/pid`), readlinkSync('/proc/self/ns/pid'))
  t.is(bench.runtime.processes(id).length, 3)
  bench.runtime.kill(id, 'SIGKILL', { all: true })
  t.true(await eventually(() => processesWith(word).length === 0))
  await bench.runtime.delete(id)
})

test('hooks run in their places, and the state is what they read', async t => {
  await using bench = makeLifeBench()
  const script = (name: string): string[] => ['sh', '-c', `echo ${name} $(cat) >> $LOG`]
  const log = bench.at('hooks')
  const hook = (name: string): object => ({
    path: '/bin/sh',
    args: script(name),
    env: [`LOG=${log}`, 'PATH=/bin:/usr/bin'],
  })
  const inside = { path: '/bin/sh', args: script('start'), env: ['LOG=/hooked', 'PATH=/bin'] }
  const config = {
    ...bench.config(['sh', '-c', 'echo program >> /hooked']),
    hooks: { createContainer: [hook('one'), hook('two')], startContainer: [inside] },
  } as RuntimeConfig
  let prepared = 0
  const id = await create(bench, config, {
    hooks: {
      async prepared(pid) {
        prepared = pid
        return await Promise.resolve('state-of-creation')
      },
    },
  })
  t.is(bench.runtime.state(id)?.pid, prepared)
  t.is(readFileSync(log, 'utf8'), 'one state-of-creation\ntwo state-of-creation\n')
  await bench.runtime.start(id, { stateJson: 'state-of-start' })
  await bench.runtime.wait(id)
  t.is(readFileSync(`${bench.upper}/hooked`, 'utf8'), 'start state-of-start\nprogram\n')
  await bench.runtime.delete(id)
})

for (const { name, hook, message } of [
  {
    name: 'fails',
    hook: { path: '/bin/false' },
    message: /the hook \/bin\/false ended with exit code 1/,
  },
  {
    name: 'hangs',
    hook: { path: '/bin/sleep', args: ['sleep', '100'], timeout: 1 },
    message: /did not end in 1 s/,
  },
  { name: 'is missing', hook: { path: '/no/such' }, message: /executing the hook \/no\/such/ },
])
  test(`a hook that ${name} ends the creation, and nothing is left`, async t => {
    await using bench = makeLifeBench()
    const config = { ...bench.config(['true']), hooks: { createContainer: [hook] } }
    await t.throwsAsync(create(bench, config), { code: 'LAUNCH_FAILED', message })
    t.deepEqual(bench.runtime.list(), [])
    t.deepEqual(bench.leftovers(), [])
  })

test('a caller whose hooks fail leaves nothing', async t => {
  await using bench = makeLifeBench()
  const failing = create(bench, bench.config(['true']), {
    hooks: { prepared: () => Promise.reject(new Error('no')) },
  })
  await t.throwsAsync(failing, { message: 'no' })
  t.deepEqual(bench.runtime.list(), [])
})

test('users of a namespace of their own are nobody on the host', async t => {
  await using bench = makeLifeBench()
  const config = bench.config(['sleep', '1000'])
  const uidMappings = [{ containerID: 0, hostID: 300_000, size: 1000 }]
  // Setting the range of groups that may ping takes all groups.
  const { sysctl: _, ...others } = config.linux
  const linux = {
    ...others,
    namespaces: [...config.linux.namespaces, { type: 'user' as const }],
    uidMappings,
    gidMappings: uidMappings,
  }
  const root = spawnSync('cp', ['-a', bench.root.lower[1] ?? '', bench.at('mapped')])
  t.is(root.status, 0)
  spawnSync('chown', ['-R', '300000:300000', bench.at('mapped')])
  const id = newId()
  await bench.runtime.create(
    { id, config: { ...config, linux }, root: { kind: 'directory', path: bench.at('mapped') } },
    { supervision: { kind: 'caller', preserveFds: 0 } },
  )
  await bench.runtime.start(id)
  const { pid = 0 } = bench.runtime.state(id) ?? {}
  t.true(await eventually(() => /^Uid:\t300000/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))))
  const { lines } = await bench.exec(id, ['sh', '-c', 'id -u; head -c 40 /proc/self/uid_map'])
  t.is(lines[0], '0')
  t.deepEqual(lines[1]?.trim().split(/\s+/), ['0', '300000', '1000'])
  await bench.runtime.delete(id, { force: true })
})

test('clocks of a time namespace are set', async t => {
  await using bench = makeLifeBench()
  const config = bench.config(['sleep', '1000'])
  const linux = {
    ...config.linux,
    namespaces: [...config.linux.namespaces, { type: 'time' as const }],
    timeOffsets: { boottime: { secs: 1_000_000 } },
  }
  const id = await create(bench, { ...config, linux })
  await bench.runtime.start(id)
  const { lines } = await bench.exec(id, ['cat', '/proc/uptime'])
  const uptime = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0])
  t.true(Math.abs(Number(lines[0]?.split(' ')[0]) - uptime - 1_000_000) < 1000)
  await bench.runtime.delete(id, { force: true })
})

test('cgroups are where the configuration has them, and never somebody else’s', async t => {
  await using bench = makeLifeBench()
  const config = bench.config(['sleep', '1000'])
  const name = `kauri-test-${process.pid}`
  const at = (cgroupsPath: string): RuntimeConfig => ({
    ...config,
    linux: { ...config.linux, cgroupsPath },
  })
  const id = await create(bench, at(`/${name}/one`))
  const { pid = 0 } = bench.runtime.state(id) ?? {}
  t.true(readFileSync(`/proc/${pid}/cgroup`, 'utf8').includes(`/${name}/one`))
  await t.throwsAsync(create(bench, at(`/${name}/one`)), { code: 'NAME_IN_USE' })
  await t.throwsAsync(create(bench, at(`/${name}`)), { code: 'NAME_IN_USE' })
  for (const path of ['/', '..', '/a/../..', './/'])
    await t.throwsAsync(create(bench, at(path)), { code: 'USAGE' })
  t.is(bench.runtime.state(id)?.status, 'created')
  await bench.runtime.delete(id, { force: true })
  for (const { mountPoint } of readCgroupLayout().hierarchies)
    if (existsSync(`${mountPoint}/${name}`)) rmdirSync(`${mountPoint}/${name}`)
})
