// Runs git for repositories that strangers wrote: no configuration of the host, no hooks, no prompts, no helpers that
// could run something, and only the protocols that ask a server. It dies with kauri.

import { existsSync } from 'node:fs'
import path from 'node:path'
import { KauriError, redactCredentials } from '../core/errors.ts'
import { lastLines, type ProcessResult, runProcess } from '../core/process.ts'
import { guardCommand } from '../native/guard.ts'

export interface GitOptions {
  readonly signal?: AbortSignal | undefined
  /** `file` only for a fetch from a repository of kauri's own; submodules never get it. */
  readonly protocols?: 'network' | 'file'
  /** More variables, such as GIT_DIR and GIT_WORK_TREE. */
  readonly variables?: Readonly<Record<string, string>>
  readonly cwd?: string
}

/** Runs git with arguments; addresses and names go behind `--`. */
export interface Git {
  /** Standard output. @throws DOWNLOAD_FAILED with what git said */
  run(args: readonly string[], options?: GitOptions): Promise<string>
  /** The same where a failure is an answer. */
  try(args: readonly string[], options?: GitOptions): Promise<ProcessResult>
}

export interface GitAccess {
  /** PATH and proxies. */
  readonly environment: Readonly<Record<string, string>>
  /** An Authorization header, and the beginning of the addresses that get it. */
  readonly authorization?: { readonly scope: string; readonly header: string } | undefined
  /** The whole command for ssh. */
  readonly sshCommand: string
  readonly sshAgent?: string | undefined
}

/** @throws PREREQUISITE_MISSING with the line that installs git */
export function openGit({ environment, ...access }: GitAccess): Git {
  requireGit(environment['PATH'] ?? '')
  const fixed = { ...environment, ...fixedVariables, ...accessVariables(access) }
  const attempt = async (
    args: readonly string[],
    { signal, protocols = 'network', variables, cwd = '/' }: GitOptions = {},
  ): Promise<ProcessResult> => {
    const GIT_ALLOW_PROTOCOL = protocols === 'file' ? 'file' : 'http:https:ssh:git'
    return await runProcess([...guardCommand(), ...withUmask, 'git', ...args], {
      cwd,
      env: { ...fixed, GIT_ALLOW_PROTOCOL, ...variables },
      signal,
    })
  }
  return {
    try: attempt,
    async run(args, options) {
      const result = await attempt(args, options)
      if (result.exitCode === 0) return result.stdout
      const verb = args[0] ?? ''
      throw new KauriError(
        'DOWNLOAD_FAILED',
        redactCredentials(`git ${verb} failed:\n${lastLines(result.stderr, 10)}`),
        { hint: redirectHint(result.stderr) },
      )
    },
  }
}

function redirectHint(stderr: string): string | undefined {
  return /returned error: 30\d/.test(stderr)
    ? 'the server redirects, and a token is sent to nobody else: write the address that it leads to'
    : undefined
}

/** Modes of a checkout do not depend on the caller's mask. */
const withUmask = ['sh', '-c', 'umask 022; exec "$@"', 'sh'] as const

const configuration: readonly (readonly [string, string])[] = [
  ['core.hooksPath', '/dev/null'],
  ['core.fsmonitor', 'false'],
  ['core.askPass', 'false'],
  ['credential.helper', ''],
  ['gc.auto', '0'],
  ['maintenance.auto', 'false'],
  ['init.defaultBranch', 'master'],
  ['advice.detachedHead', 'false'],
  ['fetch.recurseSubmodules', 'false'],
  // A server that falls silent is given up.
  ['http.lowSpeedLimit', '1'],
  ['http.lowSpeedTime', '120'],
]

const fixedVariables: Readonly<Record<string, string>> = {
  LC_ALL: 'C',
  HOME: '/dev/null',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_ATTR_NOSYSTEM: '1',
  GIT_TERMINAL_PROMPT: '0',
  GIT_ASKPASS: 'false',
  SSH_ASKPASS: 'false',
}

/** In variables, not arguments: everybody may read the arguments of a process. */
function accessVariables({
  authorization,
  sshCommand,
  sshAgent,
}: Omit<GitAccess, 'environment'>): Record<string, string> {
  const values = [...configuration, ...accessConfiguration(authorization)]
  return {
    GIT_SSH_COMMAND: sshCommand,
    ...(sshAgent === undefined ? {} : { SSH_AUTH_SOCK: sshAgent }),
    GIT_CONFIG_COUNT: String(values.length),
    ...Object.fromEntries(
      values.flatMap(([key, value], index) => [
        [`GIT_CONFIG_KEY_${index}`, key],
        [`GIT_CONFIG_VALUE_${index}`, value],
      ]),
    ),
  }
}

/**
 * git sends such a header along to wherever a redirect has led it, with every request but the first, so with one no
 * redirect is followed.
 */
function accessConfiguration(
  authorization: GitAccess['authorization'],
): readonly (readonly [string, string])[] {
  if (authorization === undefined) return [['http.followRedirects', 'initial']]
  const { scope, header } = authorization
  return [
    ['http.followRedirects', 'false'],
    [`http.${scope}.extraHeader`, `Authorization: ${header}`],
  ]
}

function requireGit(searchPath: string): void {
  if (searchPath.split(':').some(directory => existsSync(path.join(directory, 'git')))) return
  throw new KauriError('PREREQUISITE_MISSING', 'the program git is not installed', {
    hint: 'apt-get install git',
  })
}
