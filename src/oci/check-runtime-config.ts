// What the members of a runtime configuration ask of each other (runtime-spec v1.2.1 config.md, config-linux.md). Settings
// that would change the host because their namespace is the host's are refused here.

import { KauriError } from '../core/errors.ts'
import type { JsonPlace } from './json-shape.ts'
import type { NamespaceType, RuntimeConfig } from './runtime-config.ts'

/** @throws the place's code */
export function checkRuntimeConfig(config: RuntimeConfig, { document, code }: JsonPlace): void {
  const problem = problemOf(config)
  if (problem !== undefined) throw new KauriError(code, `${document}: ${problem}`)
}

function problemOf(config: RuntimeConfig): string | undefined {
  const has = (type: NamespaceType): boolean =>
    config.linux.namespaces.some(namespace => namespace.type === type)
  return (
    namespaceProblem(config, has) ??
    mappingProblem(config) ??
    timeProblem(config, has) ??
    Object.keys(config.linux.sysctl ?? {})
      .map(name => sysctlProblem(name, has))
      .find(Boolean)
  )
}

type Has = (type: NamespaceType) => boolean

function namespaceProblem(config: RuntimeConfig, has: Has): string | undefined {
  const { hostname, domainname, linux } = config
  const setting = linux.sysctl?.['kernel.domainname']
  if (domainname !== undefined && setting !== undefined && setting !== domainname)
    return 'domainname: linux.sysctl has another kernel.domainname'
  if (has('uts')) return undefined
  if (hostname !== undefined) return 'hostname: needs a uts namespace, for it would be the host’s'
  if (domainname !== undefined)
    return 'domainname: needs a uts namespace, for it would be the host’s'
  return undefined
}

function mappingProblem({ linux }: RuntimeConfig): string | undefined {
  const { uidMappings, gidMappings } = linux
  const user = linux.namespaces.find(({ type }) => type === 'user')
  const isMapped = uidMappings !== undefined || gidMappings !== undefined
  if (isMapped && user === undefined) return 'linux.uidMappings: needs a user namespace'
  if (isMapped && user?.path !== undefined)
    return 'linux.uidMappings: the user namespace at a path has its own'
  if (user === undefined || user.path !== undefined) return undefined
  if (uidMappings === undefined) return 'linux.uidMappings: missing for the user namespace'
  return gidMappings === undefined ? 'linux.gidMappings: missing for the user namespace' : undefined
}

const clocks = ['monotonic', 'boottime']

function timeProblem({ linux }: RuntimeConfig, has: Has): string | undefined {
  const names = Object.keys(linux.timeOffsets ?? {})
  if (names.length === 0) return undefined
  const unknown = names.find(name => !clocks.includes(name))
  if (unknown !== undefined) return `linux.timeOffsets: there is no clock ${unknown}`
  return has('time') ? undefined : 'linux.timeOffsets: needs a time namespace'
}

/** Kernel settings that belong to an ipc namespace; all others under kernel.* are the machine's. */
const ipcSettings = new Set(
  'msgmax msgmnb msgmni sem shmall shmmax shmmni shm_rmid_forced'
    .split(' ')
    .map(name => `kernel.${name}`),
)

function sysctlProblem(written: string, has: Has): string | undefined {
  // Either character may separate; the first one that appears does (sysctl.d(5)).
  const name = /^[^./]*\//.test(written)
    ? written.replaceAll('.', '\0').replaceAll('/', '.')
    : written
  const needs = namespaceOfSysctl(name)
  if (needs === 'hostname') return `linux.sysctl: ${written} is set by hostname`
  if (needs === undefined)
    return `linux.sysctl: ${written} belongs to no namespace, so it would change the host`
  return has(needs) ? undefined : `linux.sysctl: ${written} needs a ${needs} namespace`
}

function namespaceOfSysctl(name: string): NamespaceType | 'hostname' | undefined {
  if (name === 'kernel.hostname') return 'hostname'
  if (name === 'kernel.domainname') return 'uts'
  if (name.startsWith('net.')) return 'network'
  if (name.startsWith('user.')) return 'user'
  return ipcSettings.has(name) || name.startsWith('fs.mqueue.') ? 'ipc' : undefined
}
