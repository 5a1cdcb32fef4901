// Limits of a container as the OCI runtime configuration writes them (runtime-spec v1.2.1 config-linux.md#control-groups).
// Keys are spelled as in the JSON.

export interface Resources {
  readonly memory?: MemoryResources
  readonly cpu?: CpuResources
  /** 0 or less: no limit. */
  readonly pids?: { readonly limit: number }
  readonly devices?: readonly DeviceRule[]
  readonly blockIO?: BlockIoResources
  readonly hugepageLimits?: readonly HugepageLimit[]
  readonly network?: NetworkResources
  /** By the name of the device. */
  readonly rdma?: Readonly<Record<string, RdmaLimit>>
  /** Files of cgroup version 2 and what goes into them. */
  readonly unified?: Readonly<Record<string, string>>
}

export interface MemoryResources {
  /** Bytes; -1 unlimited. */
  readonly limit?: number
  readonly reservation?: number
  /** Memory plus swap, bytes; -1 unlimited. */
  readonly swap?: number
  readonly kernel?: number
  readonly kernelTCP?: number
  /** 0 to 100. */
  readonly swappiness?: number
  readonly disableOOMKiller?: boolean
  readonly useHierarchy?: boolean
  /** Refuse a limit below what is in use. */
  readonly checkBeforeUpdate?: boolean
}

export interface CpuResources {
  readonly shares?: number
  /** Microseconds of CPU time in each period; less than 0: no limit. */
  readonly quota?: number
  /** Microseconds that may be saved up from one period to the next. */
  readonly burst?: number
  readonly period?: number
  readonly realtimeRuntime?: number
  readonly realtimePeriod?: number
  readonly cpus?: string
  readonly mems?: string
  /** 1: runs only where nobody else wants to. */
  readonly idle?: number
}

export interface DeviceRule {
  readonly allow: boolean
  readonly type?: 'a' | 'b' | 'c'
  readonly major?: number
  readonly minor?: number
  readonly access?: string
}

export interface BlockIoResources {
  /** 10 to 1000. */
  readonly weight?: number
  readonly leafWeight?: number
  readonly weightDevice?: readonly WeightDevice[]
  readonly throttleReadBpsDevice?: readonly ThrottleDevice[]
  readonly throttleWriteBpsDevice?: readonly ThrottleDevice[]
  readonly throttleReadIOPSDevice?: readonly ThrottleDevice[]
  readonly throttleWriteIOPSDevice?: readonly ThrottleDevice[]
}

export interface WeightDevice {
  readonly major: number
  readonly minor: number
  readonly weight?: number
  readonly leafWeight?: number
}

export interface ThrottleDevice {
  readonly major: number
  readonly minor: number
  /** Bytes or operations in a second. */
  readonly rate: number
}

export interface HugepageLimit {
  /** Such as `2MB`. */
  readonly pageSize: string
  /** Bytes. */
  readonly limit: number
}

export interface NetworkResources {
  readonly classID?: number
  readonly priorities?: readonly { readonly name: string; readonly priority: number }[]
}

export interface RdmaLimit {
  readonly hcaHandles?: number
  readonly hcaObjects?: number
}
