// A seccomp profile in LXC's language (version 2 of its policy files): a line for each call, with conditions behind it.

import { KauriError } from '../../core/errors.ts'
import type { RuntimeConfig, SeccompRule } from '../../oci/runtime-config.ts'
import { writtenOut } from './bundle-json.ts'

/** The policy file's text; undefined where no filter is asked for. @throws UNSUPPORTED for an action that LXC has no word for */
export function lxcSeccomp(config: RuntimeConfig): string | undefined {
  const profile = writtenOut(config)
  if (profile === undefined) return undefined
  const { defaultAction, defaultErrnoRet } = profile
  const kind = defaultAction === 'SCMP_ACT_ALLOW' ? 'denylist' : 'allowlist'
  const rest = wordOf(defaultAction, defaultErrnoRet)
  const lines = profile.syscalls.flatMap(rule => rule.names.map(name => ruleLine(name, rule)))
  return ['2', `${kind} ${rest}`, '[all]', ...lines, ''].join('\n')
}

function ruleLine(name: string, rule: SeccompRule): string {
  const conditions = (rule.args ?? []).map(({ index, value, valueTwo, op }) => {
    const fields = [index, value, op, ...(valueTwo === undefined ? [] : [valueTwo])]
    return ` [${fields.join(',')}]`
  })
  return `${name} ${wordOf(rule.action, rule.errnoRet)}${conditions.join('')}`
}

function wordOf(action: string, errnoRet = 1): string {
  switch (action) {
    case 'SCMP_ACT_ALLOW':
      return 'allow'
    case 'SCMP_ACT_ERRNO':
      return `errno ${errnoRet}`
    case 'SCMP_ACT_KILL':
    case 'SCMP_ACT_KILL_THREAD':
    case 'SCMP_ACT_KILL_PROCESS':
      return 'kill'
    case 'SCMP_ACT_TRAP':
      return 'trap'
    default:
      throw new KauriError('UNSUPPORTED', `LXC has no word for the seccomp action ${action}`)
  }
}
