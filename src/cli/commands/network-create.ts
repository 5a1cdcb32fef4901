// `kauri network create`: a network of one's own, with docker's options.

import { KauriError } from '../../core/errors.ts'
import type { CommandSpec, ParsedOptions } from '../command.ts'
import { openNetworksHere } from '../network-host.ts'
import { parseLabels } from '../option-values.ts'

export const command: CommandSpec = {
  name: 'network create',
  summary: 'Make a network',
  details: [
    'Containers on it find each other by name; it is closed to other networks. Addresses are chosen beside those that the host knows of, unless --subnet names them.',
  ],
  operands: 'NAME',
  minOperands: 1,
  maxOperands: 1,
  options: [
    { long: 'attachable', summary: 'Every network is' },
    { long: 'driver', short: 'd', value: 'DRIVER', summary: 'bridge, the only one' },
    {
      long: 'gateway',
      value: 'ADDRESS',
      summary: "The host's address on it, the first by default",
    },
    { long: 'internal', summary: 'Nothing leaves it, nothing comes in' },
    {
      long: 'ip-range',
      value: 'BLOCK',
      summary: 'Addresses that are handed out, such as 172.28.5.0/24',
    },
    { long: 'ipam-driver', value: 'DRIVER', summary: 'default, the only one' },
    { long: 'ipv4', value: 'BOOLEAN', summary: 'Addresses of version 4: true' },
    { long: 'ipv6', summary: 'Refused: networks have IPv4 addresses only' },
    { long: 'label', value: 'KEY=VALUE', repeat: true, summary: 'Set a label' },
    {
      long: 'opt',
      short: 'o',
      value: 'KEY=VALUE',
      repeat: true,
      summary: 'com.docker.network.bridge.name, …bridge.enable_icc, …driver.mtu and their like',
    },
    { long: 'subnet', value: 'BLOCK', summary: 'Its addresses, such as 172.28.0.0/16' },
  ],
  async run({ options, positionals, context }) {
    refuseOthers(options)
    const [name = ''] = positionals
    const { signal, emit } = context
    const networks = openNetworksHere(context)
    const { planNetwork } = await import('../../network/plan-network.ts')
    const wish = {
      name,
      subnet: options.text('subnet'),
      gateway: options.text('gateway'),
      range: options.text('ip-range'),
      internal: options.flag('internal'),
      labels: parseLabels('--label', options.texts('label')),
      options: parseLabels('--opt', options.texts('opt')),
    }
    const made = await networks.create(others => planNetwork(wish, others), { signal, emit })
    context.print(made.id)
    context.printJson({ id: made.id, name: made.name })
    return 0
  },
}

function refuseOthers(options: ParsedOptions): void {
  const driver = options.text('driver') ?? 'bridge'
  if (driver !== 'bridge')
    throw new KauriError('UNSUPPORTED', `there is no network driver ${driver}`, {
      hint: 'networks are bridges; --network host and --network none need not be made',
    })
  if (options.flag('ipv6'))
    throw new KauriError('UNSUPPORTED', 'networks have IPv4 addresses only', {
      hint: 'leave --ipv6 out',
    })
  const ipam = options.text('ipam-driver') ?? 'default'
  if (ipam !== 'default')
    throw new KauriError('UNSUPPORTED', `addresses are not handed out by ${ipam}`, {
      hint: 'leave --ipam-driver out: kauri hands them out',
    })
  if (/^(?:0|f|false)$/i.test(options.text('ipv4') ?? 'true'))
    throw new KauriError('UNSUPPORTED', 'a network without IPv4 would have no addresses at all')
}
