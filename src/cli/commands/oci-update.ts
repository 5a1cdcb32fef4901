// `kauri oci update`: other limits for a container that is there.

import type { Resources } from '../../oci/runtime-config.ts'
import type { CommandSpec, OptionSpec, ParsedOptions } from '../command.ts'
import { ociCommand } from '../oci-command.ts'
import { readInput } from '../oci-process-options.ts'
import { parseBytes, parseInteger } from '../option-values.ts'

const limits: readonly OptionSpec[] = [
  { long: 'memory', value: 'BYTES', summary: 'Memory' },
  { long: 'memory-swap', value: 'BYTES', summary: 'Memory and swap together; -1: no limit' },
  {
    long: 'memory-reservation',
    value: 'BYTES',
    summary: 'Memory that is kept when it gets scarce',
  },
  { long: 'pids-limit', value: 'N', summary: 'Processes; -1: no limit' },
  { long: 'cpu-period', value: 'MICROSECONDS', summary: 'Length of a CPU period' },
  { long: 'cpu-quota', value: 'MICROSECONDS', summary: 'CPU time in each period; -1: no limit' },
  { long: 'cpu-burst', value: 'MICROSECONDS', summary: 'CPU time that may be saved up' },
  { long: 'cpu-share', value: 'N', summary: 'Share of the CPU' },
  { long: 'cpu-idle', value: 'N', summary: '1: run only where nobody else wants to' },
  { long: 'cpuset-cpus', value: 'LIST', summary: 'CPUs, such as 0-3,7' },
  { long: 'cpuset-mems', value: 'LIST', summary: 'Memory nodes' },
  { long: 'blkio-weight', value: 'N', summary: 'Share of block devices, from 10 to 1000' },
]

export const command: CommandSpec = ociCommand({
  name: 'oci update',
  summary: 'Change the limits of a container',
  operands: 'ID',
  minOperands: 1,
  maxOperands: 1,
  options: [
    {
      long: 'resources',
      short: 'r',
      value: 'FILE|-',
      summary: 'Read resources as JSON; the other options are then left out',
    },
    ...limits,
  ],
  async run({ options, positionals: [id = ''], host }) {
    const { getContainer } = await import('../../oci-runtime/oci-host.ts')
    getContainer(host, id)
    host.runtime.update(id, await readLimits(options))
    return 0
  },
})

async function readLimits(options: ParsedOptions): Promise<Resources> {
  const file = options.text('resources')
  const [{ readResources }, { parseExact }, { documentPlace }] = await Promise.all([
    import('../../oci/read-runtime-resources.ts'),
    import('../../oci/read-runtime-config.ts'),
    import('../../oci/json-shape.ts'),
  ])
  const document = file === undefined ? 'the options' : file
  const value = file === undefined ? limitsOf(options) : parseExact(readInput(file), file)
  return readResources(value, documentPlace(document, 'USAGE'))
}

/** In the shape of the JSON. */
function limitsOf(options: ParsedOptions): object {
  const bytes = (name: string): number | undefined => {
    const text = options.text(name)
    return text === undefined ? undefined : text === '-1' ? -1 : parseBytes(`--${name}`, text)
  }
  const number = (name: string): number | undefined => {
    const text = options.text(name)
    return text === undefined
      ? undefined
      : parseInteger(`--${name}`, text, { min: -1, max: Number.MAX_SAFE_INTEGER })
  }
  const pids = number('pids-limit')
  return {
    memory: {
      limit: bytes('memory'),
      swap: bytes('memory-swap'),
      reservation: bytes('memory-reservation'),
    },
    cpu: {
      period: number('cpu-period'),
      quota: number('cpu-quota'),
      burst: number('cpu-burst'),
      shares: number('cpu-share'),
      idle: number('cpu-idle'),
      cpus: options.text('cpuset-cpus'),
      mems: options.text('cpuset-mems'),
    },
    blockIO: { weight: number('blkio-weight') },
    ...(pids === undefined ? {} : { pids: { limit: pids } }),
  }
}
