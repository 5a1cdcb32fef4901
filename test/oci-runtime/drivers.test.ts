// One contract for everything that runs containers: the built-in runtime and the drivers of others. What a driver cannot do
// it refuses, which is named here; what is not installed is skipped with the reason.

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import anyTest from 'ava'
import { KauriError } from '../../src/core/errors.ts'
import type { RuntimeMount } from '../../src/oci/runtime-config.ts'
import { driverRuntime } from '../../src/oci-runtime/drivers/driver-runtime.ts'
import { findDriver } from '../../src/oci-runtime/drivers/find-driver.ts'
import { createBuiltinRuntime } from '../../src/runtime/builtin-runtime.ts'
import {
  type DefaultConfigOptions,
  defaultRuntimeConfig,
} from '../../src/runtime/default-config.ts'
import type { ContainerExit, RunOptions, Runtime } from '../../src/runtime/runtime.ts'
import { eventually } from '../helpers/eventually.ts'
import { testWith } from '../helpers/needs.ts'
import { makeScratch, type Scratch } from '../helpers/scratch.ts'
import { makeSmallRoot } from '../helpers/small-root.ts'

interface Subject {
  readonly name: string
  readonly programs: readonly string[]
  /** Titles of what it refuses. */
  readonly refuses?: readonly string[]
  /** Titles of what it does in its own way, and cannot be told. */
  readonly differs?: readonly string[]
}

const subjects: readonly Subject[] = [
  { name: 'builtin', programs: [] },
  { name: 'crun', programs: ['crun'] },
  { name: 'runc', programs: ['runc'] },
  { name: path.resolve(import.meta.dirname, '../../bin/kauri-oci'), programs: [] },
  { name: 'lxc', programs: ['lxc-execute'] },
  {
    name: 'nspawn',
    programs: ['systemd-nspawn'],
    refuses: ['user', 'limit of processes'],
    differs: ['no new privileges, and no capability to inherit'],
  },
]

let scratch: Scratch
anyTest.before(() => {
  scratch = makeScratch()
  makeSmallRoot(scratch.at('root'))
  for (const directory of ['proc', 'sys', 'dev', 'run', 'data'])
    mkdirSync(scratch.at('root', directory))
  writeFileSync(scratch.at('root/etc/os-release'), 'ID=small\n')
  mkdirSync(scratch.at('run'))
})
anyTest.after.always(() => scratch?.[Symbol.dispose]())

async function runtimeOf(name: string): Promise<Runtime> {
  const runRoot = scratch.at('run')
  return name === 'builtin'
    ? createBuiltinRuntime({ runRoot })
    : driverRuntime(await findDriver(name), { runRoot })
}

let count = 0

interface Trial {
  readonly exit: ContainerExit
  readonly lines: readonly string[]
}

async function run(
  subject: Subject,
  script: string,
  config: Partial<DefaultConfigOptions> = {},
  options: Partial<RunOptions> = {},
): Promise<Trial> {
  const runtime = await runtimeOf(subject.name)
  const lines: string[] = []
  const number = count++
  for (const name of ['upper', 'work']) mkdirSync(scratch.at(`${name}${number}`))
  const exit = await runtime.run(
    {
      id: `kauri-contract-${process.pid}-${number}`,
      config: defaultRuntimeConfig({
        args: ['sh', '-c', script],
        env: ['PATH=/usr/bin:/bin', 'NAME=value of it'],
        network: 'none',
        hostname: 'contract',
        ...config,
      }),
      root: {
        kind: 'overlay',
        lower: [scratch.at('root')],
        upper: scratch.at(`upper${number}`),
        work: scratch.at(`work${number}`),
      },
    },
    { io: { kind: 'lines', onLine: line => lines.push(line) }, ...options },
  )
  return { exit, lines }
}

const bind = (options: readonly string[]): RuntimeMount => ({
  destination: '/data',
  type: 'bind',
  source: scratch.at('given'),
  options: ['rbind', ...options],
})

interface Clause {
  readonly title: string
  readonly script: string
  readonly config?: () => Partial<DefaultConfigOptions>
  readonly code?: number
  readonly lines?: readonly string[]
}

const clauses: readonly Clause[] = [
  { title: 'exit code', script: 'exit 42', code: 42 },
  { title: 'success', script: 'true', code: 0 },
  { title: 'output', script: 'echo out', lines: ['out'] },
  { title: 'environment', script: 'echo $NAME', lines: ['value of it'] },
  {
    title: 'working directory',
    script: 'pwd',
    config: () => ({ cwd: '/home/app' }),
    lines: ['/home/app'],
  },
  { title: 'host name', script: 'hostname', lines: ['contract'] },
  {
    title: 'user',
    script: 'id -u; id -g; id -G',
    config: () => ({ user: { uid: 1000, gid: 1000, additionalGids: [1000, 2000] } }),
    lines: ['1000', '1000', '1000 2000'],
  },
  {
    title: 'no new privileges, and no capability to inherit',
    script: 'grep -cE "^(NoNewPrivs:.1|CapInh:.0{16})$" /proc/self/status',
    lines: ['2'],
  },
  {
    title: 'an own process table',
    script: 'ls -d /proc/[0-9]* | wc -l | grep -qE "^[2-6]$" && echo own',
    lines: ['own'],
  },
  { title: 'network none', script: 'ls /sys/class/net', lines: ['lo'] },
  {
    title: 'a volume',
    script: 'cat /data/file; echo new > /data/new; cat /data/new',
    config: () => ({ mounts: [bind([])] }),
    lines: ['given', 'new'],
  },
  {
    title: 'a volume that is read-only',
    script: 'cat /data/file; touch /data/other 2>/dev/null || echo locked',
    config: () => ({ mounts: [bind(['ro'])] }),
    lines: ['given', 'locked'],
  },
  {
    title: 'a tmpfs',
    script: 'grep -c " /data tmpfs" /proc/mounts',
    config: () => ({
      mounts: [{ destination: '/data', type: 'tmpfs', source: 'tmpfs', options: ['size=65536k'] }],
    }),
    lines: ['1'],
  },
  {
    title: 'a file in memory',
    script: 'cat /data/secret',
    config: () => ({
      mounts: [
        {
          destination: '/data/secret',
          type: 'bind',
          source: '',
          options: ['ro'],
          file: { content: Buffer.from('secret\n'), mode: 0o444, uid: 0, gid: 0 },
        },
      ],
    }),
    lines: ['secret'],
  },
  { title: 'masked files of the kernel', script: 'wc -c < /proc/interrupts', lines: ['0'] },
  {
    title: 'kernel settings are read-only',
    script: 'echo x 2>/dev/null > /proc/sys/kernel/hostname || echo locked',
    lines: ['locked'],
  },
  {
    title: 'a limit of open files',
    script: 'ulimit -n',
    config: () => ({ rlimits: [{ type: 'RLIMIT_NOFILE', soft: 200, hard: 200 }] }),
    lines: ['200'],
  },
  {
    title: 'limit of processes',
    script: 'cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null || true',
    config: () => ({ resources: { pids: { limit: 123 } } }),
    lines: ['123'],
  },
]

for (const subject of subjects) {
  const test = testWith({ root: true, programs: subject.programs })
  const { name, refuses = [], differs = [] } = subject
  const label = path.basename(name)
  for (const { title, script, config = () => ({}), code = 0, lines } of clauses.filter(
    clause => !differs.includes(clause.title),
  ))
    test(`${label}: ${title}`, async t => {
      mkdirSync(scratch.at('given'), { recursive: true })
      writeFileSync(scratch.at('given/file'), 'given\n')
      if (refuses.includes(title)) {
        await t.throwsAsync(run(subject, script, config()), { code: 'UNSUPPORTED' })
        return
      }
      const trial = await run(subject, script, config())
      t.is(trial.exit.code, code, trial.lines.join('\n'))
      if (lines !== undefined) t.deepEqual(trial.lines, lines)
    })

  test(`${label}: what it writes is in the upper directory, and nothing else is left`, async t => {
    const number = count
    await run(subject, 'echo written > /written')
    t.is(readFileSync(scratch.at(`upper${number}`, 'written'), 'utf8'), 'written\n')
    t.false(existsSync(scratch.at('run/drivers', `kauri-contract-${process.pid}-${number}`)))
    t.false(readFileSync('/proc/self/mountinfo', 'utf8').includes(scratch.path))
  })

  test(`${label}: a program that is missing is no success`, async t => {
    try {
      const { exit } = await run(subject, '', { args: ['/missing'] })
      t.not(exit.code, 0)
    } catch (error) {
      t.true(error instanceof KauriError)
    }
  })

  test(`${label}: signals reach the program`, async t => {
    const heard: string[] = []
    let kill: (() => void) | undefined
    let isUp = false
    const ended = run(
      subject,
      'trap "echo heard; exit 9" TERM; echo up; while :; do sleep 0.05; done',
      {},
      {
        io: {
          kind: 'lines',
          onLine: line => {
            heard.push(line)
            if (line === 'up') isUp = true
          },
        },
        onStart: container => {
          kill = () => container.kill('SIGTERM')
        },
      },
    )
    t.true(await eventually(() => isUp && kill !== undefined))
    kill?.()
    const { exit } = await ended
    t.true(heard.includes('heard'))
    t.is(exit.code, 9)
  })

  test(`${label}: an abort ends everything of it`, async t => {
    const controller = new AbortController()
    const number = count
    const ended = run(
      subject,
      'echo up; sleep 300',
      {},
      {
        io: { kind: 'lines', onLine: () => controller.abort() },
        signal: controller.signal,
      },
    )
    await t.throwsAsync(ended)
    const id = `kauri-contract-${process.pid}-${number}`
    const left = readdirSync('/sys/fs/cgroup').filter(hierarchy =>
      existsSync(path.join('/sys/fs/cgroup', hierarchy, 'kauri', id)),
    )
    t.deepEqual(left, [])
  })
}

anyTest('what is not installed is refused with the line that installs it', async t => {
  await t.throwsAsync(findDriver('podman'), { code: 'USAGE', message: /there is no runtime/ })
  await t.throwsAsync(findDriver('/nonexistent/crun'), { code: 'USAGE' })
  const error = await t.throwsAsync<KauriError>(findDriver('libvirt-lxc'), { code: 'UNSUPPORTED' })
  t.regex(error?.hint ?? '', /--runtime lxc/)
})
