// The runtime alone, without images and command lines: one bundle, a directory as root, the same namespaces, mounts,
// capabilities and filter for everybody.

import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import type { RuntimeConfig } from '../../src/oci/runtime-config.ts'
import { createBuiltinRuntime } from '../../src/runtime/builtin-runtime.ts'
import { defaultRuntimeConfig } from '../../src/runtime/default-config.ts'
import { defaultSeccomp } from '../../src/runtime/default-seccomp.ts'
import type { Bundle } from '../../src/runtime/runtime.ts'
import type { Bench } from '../context.ts'
import {
  type Contender,
  findProgram,
  hyperfineTimes,
  median,
  medianOfRounds,
  runCommand,
} from '../measure.ts'
import type { Row } from '../table.ts'

const rounds = 6

export const row: Row = {
  summary: 'the runtime alone: a bundle that runs true',
  measure: async bench => {
    const bundle = await bench.directory('bundle')
    const root = path.join(bundle, 'rootfs')
    const unpack = 'mkdir "$2" && tar -C "$2" -xf "$1"'
    const argv = ['sh', '-c', unpack, 'sh', await bench.rootArchive(), root]
    await runCommand({ argv, env: {} }, bench.signal)
    const config = defaultRuntimeConfig({
      args: ['true'],
      env: ['PATH=/usr/sbin:/usr/bin:/sbin:/bin'],
      network: 'none',
      hostname: 'bench',
    })
    await writeBundle(bundle, config)
    const contenders = [kauri(bench, config, root)]
    for (const name of ['crun', 'runc']) contenders.push(...(await peer(bench, name, bundle)))
    const medians = await medianOfRounds(contenders, rounds)
    const own = (medians.get('kauri') ?? Number.NaN) * 1000
    return [...medians]
      .filter(([name]) => name !== 'kauri')
      .map(([name, seconds]) => ({
        work: 'the runtime alone, `true` in a bundle',
        unit: 'ms',
        kauri: own,
        peer: { name, value: seconds * 1000 },
        atMost: 1,
      }))
  },
}

function kauri(bench: Bench, config: RuntimeConfig, root: string): Contender {
  const runtime = createBuiltinRuntime({
    runRoot: path.join(bench.scratch, 'run-launch'),
    cacheRoot: path.join(bench.scratch, 'launch-cache'),
  })
  const runOnce = async (id: string): Promise<number> => {
    const bundle: Bundle = { id, config, root: { kind: 'directory', path: root } }
    const startedMs = performance.now()
    const { code } = await runtime.run(bundle, { io: { kind: 'lines', onLine: () => {} } })
    if (code !== 0) throw new Error(`the bundle ended with ${code}`)
    return (performance.now() - startedMs) / 1000
  }
  return {
    name: 'kauri',
    measure: async round => {
      const times: number[] = []
      for (let run = 0; run < 5; run++) times.push(await runOnce(`launch-${round}-${run}`))
      return median(times)
    },
  }
}

async function peer(bench: Bench, name: string, bundle: string): Promise<Contender[]> {
  const program = findProgram(name)
  if (program === undefined || findProgram('hyperfine') === undefined) {
    bench.say(`   skipped: ${name} or hyperfine is not installed`)
    return []
  }
  const state = ['--root', path.join(bench.scratch, `${name}-state`)]
  const command = { argv: [program, ...state, 'run', '--bundle', bundle, 'launch'], env: {} }
  const measure = async (): Promise<number> => median(await hyperfineTimes(command, bench.signal))
  try {
    await measure()
  } catch (error) {
    bench.say(`   skipped: ${name} does not run the bundle: ${String(error)}`)
    return []
  }
  return [{ name, measure }]
}

/** The same configuration as an OCI bundle. */
async function writeBundle(bundle: string, config: RuntimeConfig): Promise<void> {
  const arch = process.arch === 'arm64' ? 'arm64' : 'x64'
  const seccomp = defaultSeccomp({ arch, capabilities: config.process.capabilities.bounding })
  // Older runtimes want every field of a device rule.
  const devices = config.linux.resources?.devices?.map(rule => ({ access: 'rwm', ...rule }))
  const resources = { ...config.linux.resources, devices }
  const linux = { ...config.linux, resources, seccomp, cgroupsPath: '/kauri-bench' }
  // Older runtimes refuse newer versions, of which nothing is used here.
  const oci = { ...config, ociVersion: '1.0.2', root: { path: 'rootfs', readonly: false }, linux }
  await writeFile(path.join(bundle, 'config.json'), JSON.stringify(oci))
}
