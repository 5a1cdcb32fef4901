// What runs in a container: the image's configuration and the caller's words, put together by docker's rules.

import path from 'node:path'
import { KauriError } from '../core/errors.ts'
import { defaultPath, type RunConfig } from '../oci/image-config.ts'
import type { ContainerRequest } from './container.ts'

/** The arguments of the first process. @throws USAGE where neither image nor caller name a command */
export function commandOf(
  config: RunConfig,
  { command, entrypoint }: Pick<ContainerRequest, 'command' | 'entrypoint'>,
): readonly string[] {
  const front = entrypoint ?? config.Entrypoint ?? []
  const isImagesOwn = entrypoint === undefined && command.length === 0
  const args = [...front, ...(isImagesOwn ? (config.Cmd ?? []) : command)]
  if (args.length > 0) return args
  throw new KauriError('USAGE', 'no command specified: the image has neither Cmd nor Entrypoint', {
    hint: 'write the command after the image, or give the image one: kauri import -c \'CMD ["/bin/sh"]\' …',
  })
}

export interface EnvironmentRequest {
  readonly hostname: string
  readonly terminal: boolean
  readonly home: string
  /** The caller's `K=V`, and `K` to unset. */
  readonly environment: readonly string[]
}

/** The environment of the first process, in docker's order: defaults, the caller's, the image's; the last word wins. */
export function environmentOf(config: RunConfig, request: EnvironmentRequest): string[] {
  const variables = new Map<string, string>([
    ['PATH', defaultPath],
    ['HOSTNAME', request.hostname],
    ...(request.terminal ? [['TERM', 'xterm'] as const] : []),
  ])
  const own = new Set(request.environment.map(nameOf))
  const images = (config.Env ?? []).filter(entry => !own.has(nameOf(entry)))
  for (const entry of [...request.environment, ...images]) {
    const name = nameOf(entry)
    if (entry.includes('=')) variables.set(name, entry.slice(name.length + 1))
    else variables.delete(name)
  }
  if ((variables.get('HOME') ?? '') === '') variables.set('HOME', request.home)
  return [...variables].map(([name, value]) => `${name}=${value}`)
}

function nameOf(entry: string): string {
  const equals = entry.indexOf('=')
  return equals < 0 ? entry : entry.slice(0, equals)
}

/** Where the process starts: an absolute path without dots. @throws USAGE for a relative one */
export function workingDirectoryOf(config: RunConfig, asked: string | undefined): string {
  const directory = asked ?? config.WorkingDir ?? ''
  if (directory === '') return '/'
  if (!directory.startsWith('/'))
    throw new KauriError('USAGE', `the working directory "${directory}" is not an absolute path`)
  return path.posix.normalize(directory).replace(/(?<=.)\/$/, '')
}
