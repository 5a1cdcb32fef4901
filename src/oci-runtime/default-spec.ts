// The configuration that `spec` writes: a shell in a container of docker's default shape, to be edited.

import type { IdMapping, RuntimeConfig } from '../oci/runtime-config.ts'
import { defaultRuntimeConfig } from '../runtime/default-config.ts'

export interface SpecOptions {
  /** For an ordinary user: these ids become root inside. */
  readonly rootless?: { readonly uid: number; readonly gid: number }
}

const path = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** A whole config.json. */
export function defaultSpec({ rootless }: SpecOptions = {}): object {
  const config = defaultRuntimeConfig({
    args: ['sh'],
    env: [path, 'TERM=xterm'],
    network: 'none',
    terminal: true,
    hostname: 'kauri',
    showCgroups: rootless === undefined,
    seccomp: 'unconfined',
  })
  const { linux } = config
  const base = { ...config, root: { path: 'rootfs', readonly: true } }
  if (rootless === undefined) return base
  const { resources: _limits, ...rest } = linux
  return {
    ...base,
    mounts: config.mounts.map(mount => ({
      ...mount,
      options: mount.options.filter(word => word !== 'gid=5'),
    })),
    linux: {
      ...rest,
      namespaces: [
        ...linux.namespaces,
        { type: 'user' },
      ] satisfies RuntimeConfig['linux']['namespaces'],
      uidMappings: single(rootless.uid),
      gidMappings: single(rootless.gid),
    },
  }
}

function single(id: number): readonly IdMapping[] {
  return [{ containerID: 0, hostID: id, size: 1 }]
}
