// iptables as it was before nf_tables, still in use on some hosts: its rules are out of netlink's reach, so its program is
// run, and only where the kernel says that its filter table is in use.

import { runChecked } from '../core/process.ts'
import { readTextSync } from '../core/text-file.ts'
import type { Passage } from './host-firewall.ts'

/** True where the old iptables filters in this network namespace. */
export function usesLegacyFirewall(): boolean {
  const tables = readTextSync('/proc/net/ip_tables_names') ?? ''
  return tables.split('\n').includes('filter')
}

/** Lets packets take these ways where the policy is to drop them. @throws PREREQUISITE_MISSING, PROCESS_FAILED */
export async function openLegacyFirewall(passages: readonly Passage[]): Promise<void> {
  const { stdout } = await iptables(['-S'])
  const lines = new Set(stdout.split('\n').map(line => line.trim()))
  if (!lines.has('-P FORWARD DROP')) return
  const chain = lines.has('-N DOCKER-USER') ? 'DOCKER-USER' : 'FORWARD'
  for (const passage of passages) {
    const rule = [chain, ...ruleWords(passage)]
    if (!lines.has(`-A ${rule.join(' ')}`)) await iptables(['-I', ...rule])
  }
}

/** Takes away the rules that name a bridge. @throws PREREQUISITE_MISSING, PROCESS_FAILED */
export async function closeLegacyFirewall(bridge: string): Promise<void> {
  const { stdout } = await iptables(['-S'])
  for (const line of stdout.split('\n')) {
    const words = line.trim().split(' ')
    if (words[0] !== '-A' || !words.includes(bridge)) continue
    await iptables(['-D', ...words.slice(1)])
  }
}

function ruleWords({ from, to }: Passage): string[] {
  return [...(from === undefined ? [] : ['-i', from]), '-o', to, '-j', 'ACCEPT']
}

function iptables(words: readonly string[]): ReturnType<typeof runChecked> {
  return runChecked(['iptables-legacy', '--wait', ...words], {
    what: 'iptables-legacy',
    env: { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' },
    installHint:
      'install iptables (apt-get install iptables), whose old kind filters on this host, or use --network none or --network host',
  })
}
