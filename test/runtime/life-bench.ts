// Containers that outlast their maker, for tests: each with a log of its own, and gone when the test ends.

import { mkdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { namesIn } from '../../src/core/directory-names.ts'
import { readCgroupLayout } from '../../src/runtime/cgroup-layout.ts'
import type { ContainerStatus, MonitorSupervision } from '../../src/runtime/container-runtime.ts'
import type { DefaultConfigOptions } from '../../src/runtime/default-config.ts'
import {
  type AttachStreams,
  connectMonitor,
  type MonitorConnection,
} from '../../src/runtime/monitor-client.ts'
import { eventually } from '../helpers/eventually.ts'
import { type ContainerBench, makeBench } from './container-bench.ts'

export interface LifeBench extends ContainerBench, AsyncDisposable {
  readonly runRoot: string
  /** Creates a container, which waits for its start. */
  created(command: readonly string[], how?: LifeOptions): Promise<ContainerStatus>
  /** The same, started. */
  started(command: readonly string[], how?: LifeOptions): Promise<ContainerStatus>
  attach(id: string, streams?: AttachStreams): Promise<MonitorConnection>
  /** Waits until the monitor has written how it ended. */
  exitOf(id: string): Promise<number | undefined>
  logFile(id: string): string
  /** What is in the log in docker's form, the text of each entry. */
  logged(id: string): readonly LogLine[]
  /** The output and the code of one more program. */
  exec(id: string, command: readonly string[], more?: object): Promise<ExecOutput>
}

export interface LifeOptions {
  readonly supervision?: Partial<MonitorSupervision>
  readonly config?: Partial<DefaultConfigOptions>
}

export interface LogLine {
  readonly log: string
  readonly stream: string
  readonly time: string
}

export interface ExecOutput {
  readonly code: number
  readonly lines: readonly string[]
}

/** Cgroups of those containers, wherever they are. */
function cgroupsOf(ids: readonly string[]): readonly string[] {
  return readCgroupLayout().hierarchies.flatMap(({ version, mountPoint, ownDirectory }) => {
    const parent = path.join(version === 2 ? mountPoint : ownDirectory, 'kauri')
    return namesIn(parent).filter(name => ids.includes(name))
  })
}

let count = 0

/** `await using bench = makeLifeBench()` */
export function makeLifeBench(): LifeBench {
  const bench = makeBench()
  const runRoot = bench.at('run')
  const ids: string[] = []
  mkdirSync(bench.at('log'))
  const logFile = (id: string): string => bench.at('log', `${id}.log`)
  const created: LifeBench['created'] = async (command, { supervision, config } = {}) => {
    const id = `test-${process.pid}-life-${++count}`
    ids.push(id)
    return await bench.runtime.create(
      { id, config: bench.config(command, config), root: bench.root },
      {
        supervision: {
          kind: 'monitor',
          terminal: false,
          openInput: false,
          log: { driver: 'json-file', file: logFile(id) },
          locks: [],
          cleanUp: { args: ['/bin/true'], environment: [] },
          ...supervision,
        },
      },
    )
  }
  return {
    ...bench,
    leftovers: () => [...bench.leftovers(), ...cgroupsOf(ids)],
    runRoot,
    created,
    async started(command, how) {
      const { id } = await created(command, how)
      await bench.runtime.start(id)
      return bench.runtime.state(id) ?? Promise.reject(new Error(`${id} is gone`))
    },
    attach: (id, streams = { stdout: true, stderr: true }) => connectMonitor(runRoot, id, streams),
    async exitOf(id) {
      await eventually(() => bench.runtime.state(id)?.exit !== undefined)
      return bench.runtime.state(id)?.exit?.code
    },
    logFile,
    logged: id =>
      readFileSync(logFile(id), 'utf8')
        .split('\n')
        .filter(Boolean)
        .map(line => JSON.parse(line) as LogLine),
    async exec(id, command, more = {}) {
      const lines: string[] = []
      const io = { kind: 'lines', onLine: (line: string) => void lines.push(line) } as const
      const { code } = await bench.runtime.exec(id, { args: command, ...more }, { io })
      return { code, lines }
    },
    async [Symbol.asyncDispose]() {
      for (const id of ids)
        if (bench.runtime.state(id) !== undefined) await bench.runtime.delete(id, { force: true })
      bench[Symbol.dispose]()
    },
  }
}
