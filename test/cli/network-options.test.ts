import test from 'ava'
import type { ParsedOptions } from '../../src/cli/command.ts'
import { networkOptions, publishedPorts, readNetworking } from '../../src/cli/network-options.ts'
import { optionTable, parsedOptions, scanWords } from '../../src/cli/option-parser.ts'

function scanOptions(specs: typeof networkOptions, words: readonly string[]): ParsedOptions {
  const table = optionTable(specs)
  return parsedOptions(scanWords(words, table).values, table)
}

function network(...words: readonly string[]): unknown {
  return readNetworking(scanOptions(networkOptions, words)).network
}

const none = { aliases: [], gatewayPriority: 0 }

for (const [words, want] of [
  [[], { kind: 'networks', attachments: [{ ...none, network: 'bridge' }] }],
  [['--network', 'none'], { kind: 'none' }],
  [['--network', 'host'], { kind: 'host' }],
  [['--network', 'container:web'], { kind: 'container', container: 'web' }],
  [['--network', 'default'], { kind: 'networks', attachments: [{ ...none, network: 'bridge' }] }],
  [
    ['--network', 'a', '--network', 'b', '--network-alias', 'x', '--ip', '10.0.0.9'],
    {
      kind: 'networks',
      attachments: [
        { ...none, network: 'a', aliases: ['x'], address: '10.0.0.9' },
        { ...none, network: 'b' },
      ],
    },
  ],
  [
    [
      '--network',
      'name=a,alias=x,alias=y,ip=10.0.0.9,mac-address=02:42:AC:11:00:02,gw-priority=-3',
    ],
    {
      kind: 'networks',
      attachments: [
        {
          network: 'a',
          aliases: ['x', 'y'],
          address: '10.0.0.9',
          hardwareAddress: '02:42:ac:11:00:02',
          gatewayPriority: -3,
        },
      ],
    },
  ],
] as const)
  test(`${words.join(' ') || 'nothing'} is understood`, t => {
    t.deepEqual<unknown, unknown>(network(...words), want)
  })

for (const words of [
  ['--network', 'none', '--network', 'a'],
  ['--network', 'host', '--ip', '10.0.0.9'],
  ['--network', 'container:'],
  ['--network', 'a/b'],
  ['--network', 'name=a,colour=red'],
  ['--network', 'a', '--network-alias', '-x'],
  ['--network', 'a', '--ip', '10.0.0.256'],
  ['--network', 'a', '--ip', '2001:db8::1'],
  ['--mac-address', '01:00:5e:00:00:01'],
  ['--mac-address', '00:00:00:00:00:00'],
  ['--mac-address', '02:42'],
  ['--link', 'web'],
  ['--ip6', '2001:db8::1'],
])
  test(`${words.join(' ')} is refused`, t => {
    t.throws(() => network(...words), { name: 'KauriError' })
  })

test('-P publishes what the image and --expose name, once, and what -p says as it says', t => {
  const words = ['-P', '--expose', '53/udp', '--expose', '90-91', '-p', '8080:80']
  const options = scanOptions(networkOptions, words)
  const { ports } = readNetworking(options)
  const exposed = { ExposedPorts: { '80/tcp': {}, '443': {}, '53/udp': {} } }
  const all = publishedPorts(ports, options, exposed)
  t.deepEqual(
    all.map(({ protocol, hostPort, containerPort }) => `${hostPort}:${containerPort}/${protocol}`),
    ['8080:80/tcp', '0:443/tcp', '0:53/udp', '0:90/tcp', '0:91/tcp'],
  )
  const without = scanOptions(networkOptions, ['-p', '8080:80'])
  t.deepEqual(publishedPorts(ports, without, exposed), ports)
})
