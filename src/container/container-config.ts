// A container's request and its image's configuration as what the runtime runs: users looked up in the tree, mounts
// prepared, the files of the network written.

import { hostname as hostHostname } from 'node:os'
import path from 'node:path'
import { readTextInRoot } from '../native/in-root.ts'
import type { RuntimeConfig, RuntimeMount } from '../oci/runtime-config.ts'
import type { OpenTree } from '../rootfs/rootfs.ts'
import {
  type ContainerUser,
  resolveContainerUser,
  resolveGroups,
} from '../runtime/container-user.ts'
import { defaultRuntimeConfig } from '../runtime/default-config.ts'
import { adjustConfig, needsAdjusting } from './adjust-config.ts'
import type { ContainerSpec, StoredRequest } from './container.ts'
import { prepareMounts } from './container-mounts.ts'
import type { ContainerNetwork } from './container-network.ts'
import { commandOf, environmentOf, workingDirectoryOf } from './image-process.ts'
import { makeNetworkFiles } from './network-files.ts'
import { openVolumes } from './volumes.ts'

/** What a container stands on when it starts. */
export interface ConfigParts {
  readonly id: string
  /** Where the container's own files are. */
  readonly directory: string
  /** The directory of all containers. */
  readonly containersRoot: string
  /** The container's tree, to look users and directories up in; undefined where it is empty. */
  readonly tree: OpenTree | undefined
  readonly network: ContainerNetwork
  /** Namespaces of other containers, by their word: `container:NAME`. */
  readonly namespacePaths: ReadonlyMap<string, string>
  readonly signal?: AbortSignal | undefined
}

/** Where an init program of kauri's own is in the container; docker has it there, too. */
export const initPath = '/sbin/docker-init'

/** @throws USAGE for users, groups and mounts that cannot be; UNSUPPORTED */
export async function containerConfig(
  { spec, imageConfig, mounts }: StoredRequest,
  parts: ConfigParts,
): Promise<RuntimeConfig> {
  const { tree, network } = parts
  const command = commandOf(imageConfig, spec)
  const hostname = hostnameOf(spec, parts.id)
  const user = userOf(spec, imageConfig.User ?? '', tree)
  const volumes = openVolumes(volumesBeside(parts.containersRoot))
  const own = await prepareMounts(mounts, { tree, volumes, signal: parts.signal })
  const files = makeNetworkFiles({
    directory: parts.directory,
    hostname,
    domainname: spec.domainname,
    network,
    extraHosts: spec.extraHosts,
    resolver: spec.resolver,
    readOnly: spec.readOnlyRoot,
  })
  const config = defaultRuntimeConfig({
    args: spec.init ? [initPath, '--', ...command] : command,
    env: environmentOf(imageConfig, {
      hostname,
      terminal: spec.terminal,
      home: user.home,
      environment: spec.environment,
    }),
    cwd: workingDirectoryOf(imageConfig, spec.workingDirectory),
    user,
    hostname,
    terminal: spec.terminal,
    network: network.mode,
    mounts: withFiles(own, files),
    capabilities: { add: spec.addCapabilities, drop: spec.dropCapabilities },
    readonlyRoot: spec.readOnlyRoot,
    noNewPrivileges: spec.noNewPrivileges,
    resources: spec.resources,
    rlimits: spec.rlimits,
    sysctl: spec.sysctl,
    ...(spec.oomScoreAdj === undefined ? {} : { oomScoreAdj: spec.oomScoreAdj }),
    ...(spec.seccomp === undefined ? {} : { seccomp: spec.seccomp }),
    ...(spec.shmSizeBytes === undefined ? {} : { shmSizeBytes: spec.shmSizeBytes }),
  })
  return needsAdjusting(spec, network) ? await adjustConfig(config, spec, parts) : config
}

/** Where volumes are: beside the containers. */
export function volumesBeside(containersRoot: string): string {
  return path.join(path.dirname(containersRoot), 'volumes')
}

/** On the host's network a container has the host's name; else its own short id. */
function hostnameOf({ hostname, network, namespaces }: ContainerSpec, id: string): string {
  const isHosts = network.kind === 'host' || namespaces.uts === 'host'
  return hostname ?? (isHosts ? hostHostname() : id.slice(0, 12))
}

function userOf(
  { user, groups }: ContainerSpec,
  images: string,
  tree: OpenTree | undefined,
): ContainerUser {
  const read = (file: string): string | undefined =>
    tree === undefined ? undefined : readTextInRoot(tree.fd, file)
  const files = { passwd: read('/etc/passwd'), group: read('/etc/group') }
  const found = resolveContainerUser(user ?? images, files)
  if (groups.length === 0) return found
  const more = resolveGroups(groups, files)
  return { ...found, additionalGids: [...new Set([...found.additionalGids, ...more])] }
}

/** The three files of /etc, unless the caller mounts something there. */
function withFiles(
  own: readonly RuntimeMount[],
  files: readonly RuntimeMount[],
): readonly RuntimeMount[] {
  const taken = new Set(own.map(({ destination }) => path.posix.normalize(destination)))
  return [...own, ...files.filter(({ destination }) => !taken.has(destination))]
}
