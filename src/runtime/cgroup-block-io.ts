// Limits of block devices: weights and throttles of version 1, which version 2 writes in one line for each device (kernel
// Documentation/admin-guide/cgroup-v1/blkio-controller.rst, cgroup-v2.rst).

import { existsSync } from 'node:fs'
import path from 'node:path'
import type { Resources } from '../oci/runtime-config.ts'
import type { BlockIoResources } from '../oci/runtime-resources.ts'
import type { CgroupWrite } from './cgroup.ts'

type ThrottleKey = Extract<keyof BlockIoResources, `throttle${string}`>

const throttles: readonly {
  readonly key: ThrottleKey
  readonly version1: string
  readonly version2: string
}[] = [
  { key: 'throttleReadBpsDevice', version1: 'read_bps', version2: 'rbps' },
  { key: 'throttleWriteBpsDevice', version1: 'write_bps', version2: 'wbps' },
  { key: 'throttleReadIOPSDevice', version1: 'read_iops', version2: 'riops' },
  { key: 'throttleWriteIOPSDevice', version1: 'write_iops', version2: 'wiops' },
]

/** Version 1. Weights are those of whichever scheduler the kernel has. */
export function version1BlockWrites({ blockIO }: Resources, directory: string): CgroupWrite[] {
  if (blockIO === undefined) return []
  const prefix = existsSync(path.join(directory, 'blkio.bfq.weight')) ? 'blkio.bfq.' : 'blkio.'
  const write = (file: string, value: string): CgroupWrite => ({
    ...blockWrite(file, value),
    file: path.join(directory, file),
  })
  const { weight, leafWeight, weightDevice = [] } = blockIO
  return [
    ...(weight === undefined ? [] : [write(`${prefix}weight`, String(weight))]),
    ...(leafWeight === undefined ? [] : [write('blkio.leaf_weight', String(leafWeight))]),
    ...weightDevice.flatMap(device => {
      const name = `${device.major}:${device.minor}`
      return [
        ...(device.weight === undefined
          ? []
          : [write(`${prefix}weight_device`, `${name} ${device.weight}`)]),
        ...(device.leafWeight === undefined
          ? []
          : [write('blkio.leaf_weight_device', `${name} ${device.leafWeight}`)]),
      ]
    }),
    ...throttles.flatMap(({ key, version1 }) =>
      (blockIO[key] ?? []).map(({ major, minor, rate }) =>
        write(`blkio.throttle.${version1}_device`, `${major}:${minor} ${rate}`),
      ),
    ),
  ]
}

/** Version 2. Names of files are relative to the cgroup. */
export function version2BlockWrites({ blockIO }: Resources, directory: string): CgroupWrite[] {
  if (blockIO === undefined) return []
  const isBfq = existsSync(path.join(directory, 'io.bfq.weight'))
  const file = isBfq ? 'io.bfq.weight' : 'io.weight'
  const weightOf = (weight: number): string => String(isBfq ? weight : widerWeight(weight))
  const { weight, weightDevice = [] } = blockIO
  return [
    ...(weight === undefined ? [] : [blockWrite(file, `default ${weightOf(weight)}`)]),
    ...weightDevice.flatMap(device =>
      device.weight === undefined
        ? []
        : [blockWrite(file, `${device.major}:${device.minor} ${weightOf(device.weight)}`)],
    ),
    ...throttles.flatMap(({ key, version2 }) =>
      (blockIO[key] ?? []).map(({ major, minor, rate }) =>
        blockWrite('io.max', `${major}:${minor} ${version2}=${rate}`),
      ),
    ),
  ]
}

/** Weights from 10 to 1000 onto those from 1 to 10000, as all runtimes map them. */
function widerWeight(weight: number): number {
  const bounded = Math.min(Math.max(weight, 10), 1000)
  return 1 + Math.floor(((bounded - 10) * 9999) / 990)
}

function blockWrite(file: string, value: string): CgroupWrite {
  return { file, value, limit: `${file} of ${value}` }
}
