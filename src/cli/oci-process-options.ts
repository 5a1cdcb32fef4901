// Options of `oci exec` that describe the process, and the process that they make of the container's own.

import { readFileSync } from 'node:fs'
import { KauriError } from '../core/errors.ts'
import type { ContainerStatus, ExecProcess } from '../runtime/container-runtime.ts'
import type { OptionSpec, ParsedOptions } from './command.ts'
import { badValue, parseInteger } from './option-values.ts'

export const processOptions: readonly OptionSpec[] = [
  {
    long: 'process',
    short: 'p',
    value: 'FILE',
    summary: 'Read the process object of a configuration',
  },
  { long: 'tty', short: 't', summary: 'Give it a terminal' },
  { long: 'user', short: 'u', value: 'UID[:GID]', summary: 'Run as this user' },
  { long: 'additional-gids', short: 'g', value: 'GID', repeat: true, summary: 'Add a group' },
  { long: 'env', short: 'e', value: 'NAME=VALUE', repeat: true, summary: 'Add a variable' },
  { long: 'cwd', value: 'DIR', summary: 'Working directory' },
  { long: 'cap', short: 'c', value: 'CAPABILITY', repeat: true, summary: 'Add a capability' },
  { long: 'no-new-privs', summary: 'Setuid programs gain no rights' },
  { long: 'apparmor', value: 'PROFILE', summary: 'AppArmor profile' },
  { long: 'process-label', value: 'LABEL', summary: 'SELinux label' },
]

/** @throws USAGE */
export async function readExecProcess(
  options: ParsedOptions,
  args: readonly string[],
  { config }: ContainerStatus,
): Promise<ExecProcess> {
  const file = options.text('process')
  if (file !== undefined) {
    if (args.length > 0) throw new KauriError('USAGE', '--process and a command exclude each other')
    const { readProcessFile } = await import('../oci-runtime/exec-container.ts')
    return readProcessFile(file)
  }
  if (args.length === 0) throw new KauriError('USAGE', 'exec needs a command or --process')
  const own = config.process
  const cwd = options.text('cwd') ?? own.cwd
  if (!cwd.startsWith('/')) throw badValue('--cwd', cwd, 'write an absolute path')
  return {
    args,
    terminal: options.flag('tty'),
    cwd,
    env: withVariables(own.env, options.texts('env')),
    user: userOf(options, own.user),
    ...(await capabilitiesOf(options, own.capabilities)),
    ...(options.flag('no-new-privs') ? { noNewPrivileges: true } : {}),
    ...labelsOf(options),
  }
}

/** A variable that is given again replaces the container's: programs take the first of a name. */
function withVariables(own: readonly string[], added: readonly string[]): readonly string[] {
  const names = new Set(added.map(variable => nameOf(checkVariable(variable))))
  return [...own.filter(variable => !names.has(nameOf(variable))), ...added]
}

function nameOf(variable: string): string {
  return variable.split('=', 1)[0] ?? ''
}

function checkVariable(variable: string): string {
  if (/^[^=\0]+=/.test(variable)) return variable
  throw badValue('--env', variable, 'write NAME=VALUE')
}

const ids = { min: 0, max: 0xffff_fffe }

type User = NonNullable<ExecProcess['user']>

function userOf(options: ParsedOptions, own: User = { uid: 0, gid: 0 }): User {
  const groups = options
    .texts('additional-gids')
    .map(gid => parseInteger('--additional-gids', gid, ids))
  const text = options.text('user')
  const named = text === undefined ? {} : parseUser(text)
  return { ...own, ...named, additionalGids: [...(own.additionalGids ?? []), ...groups] }
}

/** Numbers alone, and nothing behind them: a half-read user would be another one (CVE-2026-30892). */
function parseUser(text: string): Partial<User> {
  if (!/^\d{1,10}(?::\d{1,10})?$/.test(text))
    throw badValue('--user', text, 'write numbers: UID or UID:GID')
  const [uid = 0, gid] = text.split(':').map(part => parseInteger('--user', part, ids))
  return gid === undefined ? { uid } : { uid, gid }
}

async function capabilitiesOf(
  options: ParsedOptions,
  own: NonNullable<ExecProcess['capabilities']>,
): Promise<Pick<ExecProcess, 'capabilities'>> {
  const words = options.texts('cap')
  if (words.length === 0) return {}
  const { parseCapabilities } = await import('../runtime/capabilities.ts')
  const added = parseCapabilities(words)
  const withAdded = (set: readonly string[]): readonly string[] => [...new Set([...set, ...added])]
  return {
    capabilities: {
      bounding: withAdded(own.bounding),
      effective: withAdded(own.effective),
      permitted: withAdded(own.permitted),
      // What is inheritable would reach programs that nobody meant to have it (CVE-2022-29162).
      inheritable: own.inheritable,
      ambient: own.ambient,
    },
  }
}

function labelsOf(options: ParsedOptions): Pick<ExecProcess, 'apparmorProfile' | 'selinuxLabel'> {
  const profile = options.text('apparmor')
  const label = options.text('process-label')
  return {
    ...(profile === undefined ? {} : { apparmorProfile: profile }),
    ...(label === undefined ? {} : { selinuxLabel: label }),
  }
}

/** What `--resources FILE` names; `-` is standard input. */
export function readInput(file: string): Buffer {
  return readFileSync(file === '-' ? 0 : file)
}
