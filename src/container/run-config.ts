// A container's configuration in the words of an image: what `commit` keeps, and `inspect` shows.

import type { RunConfig } from '../oci/image-config.ts'
import type { StoredRequest } from './container.ts'

/** The image's configuration with what the caller asked for instead; what is only of the host stays out. */
export function containerRunConfig({ spec, imageConfig, mounts }: StoredRequest): RunConfig {
  const { entrypoint, command } = spec
  const all = {
    ...imageConfig,
    User: spec.user ?? imageConfig.User,
    Env: environmentOf(imageConfig.Env ?? [], spec.environment),
    Entrypoint: entrypoint ?? imageConfig.Entrypoint,
    // An entrypoint of the caller's drops the image's arguments.
    Cmd: command.length > 0 || entrypoint !== undefined ? command : imageConfig.Cmd,
    WorkingDir: spec.workingDirectory ?? imageConfig.WorkingDir,
    Labels: nonEmpty({ ...imageConfig.Labels, ...spec.labels }),
    StopSignal: spec.stopSignal ?? imageConfig.StopSignal,
    Healthcheck: healthcheckOf(spec, imageConfig),
    Volumes: volumesOf(imageConfig, mounts),
  }
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined))
}

function environmentOf(images: readonly string[], callers: readonly string[]): readonly string[] {
  const variables = new Map<string, string>()
  for (const entry of [...images, ...callers]) {
    const [name = ''] = entry.split('=', 1)
    if (entry.includes('=')) variables.set(name, entry)
    else variables.delete(name)
  }
  return [...variables.values()]
}

function healthcheckOf(
  { healthcheck }: StoredRequest['spec'],
  { Healthcheck }: RunConfig,
): RunConfig['Healthcheck'] {
  if (healthcheck === undefined) return Healthcheck
  const { Test = Healthcheck?.Test, ...times } = healthcheck
  return Test === undefined ? undefined : { ...Healthcheck, ...times, Test }
}

function volumesOf({ Volumes }: RunConfig, mounts: StoredRequest['mounts']): RunConfig['Volumes'] {
  const own = mounts.flatMap(mount =>
    mount.kind === 'volume' && mount.anonymous ? [[mount.destination, {}] as const] : [],
  )
  return nonEmpty({ ...Volumes, ...Object.fromEntries(own) })
}

function nonEmpty<T extends object>(value: T): T | undefined {
  return Object.keys(value).length === 0 ? undefined : value
}
