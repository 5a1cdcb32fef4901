// Capabilities by name and number (man 7 capabilities), and the set that docker gives to a container.

import { closestWord } from '../core/closest-word.ts'
import { KauriError } from '../core/errors.ts'
import { readTextSync } from '../core/text-file.ts'

/** In the order of their numbers, from 0. */
const names =
  `CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE
  NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT
  SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP
  MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE`
    .split(/\s+/)
    .map(name => `CAP_${name}`)

/** Every capability that is known here. */
export const allCapabilities: readonly string[] = names

/** What docker gives: enough to install packages and run services, nothing that reaches the host. */
export const defaultCapabilities: readonly string[] = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FSETID',
  'CAP_FOWNER',
  'CAP_MKNOD',
  'CAP_NET_RAW',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_SETFCAP',
  'CAP_SETPCAP',
  'CAP_NET_BIND_SERVICE',
  'CAP_SYS_CHROOT',
  'CAP_KILL',
  'CAP_AUDIT_WRITE',
]

/** Those that this process can hand on. */
export function ownCapabilities(): readonly string[] {
  const status = readTextSync('/proc/self/status') ?? ''
  const bits = BigInt(`0x${/^CapPrm:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`)
  return names.filter((_, number) => ((bits >> BigInt(number)) & 1n) === 1n)
}

/** The kernel's bit set. @throws USAGE for a name that is none */
export function capabilityBits(capabilities: readonly string[]): bigint {
  return capabilities.reduce((bits, name) => bits | (1n << BigInt(capabilityNumber(name))), 0n)
}

function capabilityNumber(name: string): number {
  const number = names.indexOf(name)
  if (number >= 0) return number
  const closest = closestWord(name, names)
  throw new KauriError('USAGE', `there is no capability ${name}`, {
    hint: closest === undefined ? 'see man 7 capabilities' : `did you mean ${closest}?`,
  })
}

/** Names as people write them (`net_admin`, `CAP_NET_ADMIN`, `ALL`) in the one form. @throws USAGE */
export function parseCapabilities(words: readonly string[]): readonly string[] {
  return words.flatMap(word => {
    const upper = word.toUpperCase()
    if (upper === 'ALL') return names
    const name = upper.startsWith('CAP_') ? upper : `CAP_${upper}`
    capabilityNumber(name)
    return [name]
  })
}

/** The default set changed as `--cap-drop` and `--cap-add` say: what is added by name stays though ALL is dropped. */
export function adjustCapabilities(
  add: readonly string[] = [],
  drop: readonly string[] = [],
): readonly string[] {
  const added = parseCapabilities(add)
  const dropped = new Set(parseCapabilities(drop))
  const addsAll = add.some(word => word.toUpperCase() === 'ALL')
  if (addsAll) return names.filter(name => !dropped.has(name))
  const kept = defaultCapabilities.filter(name => !dropped.has(name))
  return names.filter(name => kept.includes(name) || added.includes(name))
}
