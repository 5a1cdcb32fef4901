// What this runtime can do, as engines ask for it (runtime-spec v1.2.1 features.md, features-linux.md).

import { seccompActions, seccompFlags, seccompOperators } from '../oci/read-seccomp-config.ts'
import { allCapabilities } from '../runtime/capabilities.ts'
import { ociVersion } from './oci-host.ts'

const mountOptions = (
  'async atime bind defaults dest-nofollow dev diratime dirsync exec idmap iversion lazytime loud mand noatime nodev ' +
  'nodiratime noexec noiversion nolazytime nomand norelatime nostrictatime nosuid nosymfollow private ratime rbind rdev ' +
  'rdiratime relatime remount rexec ridmap rnoatime rnodev rnodiratime rnoexec rnorelatime rnostrictatime rnosuid ' +
  'rnosymfollow ro rprivate rrelatime rro rrw rshared rslave rstrictatime rsuid rsymfollow runbindable rw shared silent ' +
  'slave strictatime suid symfollow sync tmpcopyup unbindable'
).split(' ')

const architectures = ['X86_64', 'X86', 'X32', 'AARCH64', 'ARM'].map(name => `SCMP_ARCH_${name}`)

/** The document that `features` prints. */
export function runtimeFeatures(version: string): object {
  return {
    ociVersionMin: '1.0.0',
    ociVersionMax: ociVersion,
    hooks: [
      'prestart',
      'createRuntime',
      'createContainer',
      'startContainer',
      'poststart',
      'poststop',
    ],
    mountOptions,
    linux: {
      namespaces: ['cgroup', 'ipc', 'mount', 'network', 'pid', 'time', 'user', 'uts'],
      capabilities: allCapabilities,
      cgroup: { v1: true, v2: true, systemd: false, systemdUser: false, rdma: true },
      seccomp: {
        enabled: true,
        actions: seccompActions.filter(action => action !== 'SCMP_ACT_NOTIFY'),
        operators: seccompOperators,
        archs: architectures,
        knownFlags: seccompFlags,
        supportedFlags: seccompFlags,
      },
      apparmor: { enabled: true },
      selinux: { enabled: true },
      intelRdt: { enabled: false },
      memoryPolicy: { modes: memoryModes, flags: memoryFlags },
      mountExtensions: { idmap: { enabled: true } },
      netDevices: { enabled: false },
    },
    annotations: {
      'org.kauri.version': version,
      'org.opencontainers.runc.checkpoint.enabled': 'false',
    },
    potentiallyUnsafeConfigAnnotations: [],
  }
}

const memoryModes = [
  'MPOL_DEFAULT',
  'MPOL_BIND',
  'MPOL_INTERLEAVE',
  'MPOL_WEIGHTED_INTERLEAVE',
  'MPOL_PREFERRED',
  'MPOL_PREFERRED_MANY',
  'MPOL_LOCAL',
]

const memoryFlags = ['MPOL_F_NUMA_BALANCING', 'MPOL_F_RELATIVE_NODES', 'MPOL_F_STATIC_NODES']
