import test from 'ava'
import { resolverText } from '../../src/network/host-resolver.ts'

const stub = 'nameserver 127.0.0.53\noptions edns0\nsearch example.org\n'
const real = 'nameserver 192.0.2.1\nsearch example.org\n'
const mixed = 'nameserver 127.0.0.1\nnameserver ::1\n nameserver 192.0.2.2\noptions rotate\n'
const fallback = 'nameserver 8.8.8.8\nnameserver 8.8.4.4\n'

for (const [title, network, own, resolved, expected] of [
  ['the host’s network has the host’s file', 'host', stub, real, stub],
  [
    'servers on the loopback are left out',
    'bridge',
    mixed,
    undefined,
    ' nameserver 192.0.2.2\noptions rotate\n',
  ],
  ['systemd-resolved says whom it asks', 'bridge', stub, real, real],
  ['systemd-resolved is asked only where it is the host’s only server', 'bridge', real, 'x', real],
  [
    'where nobody is left, docker’s choice',
    'bridge',
    'nameserver 127.0.0.1\nsearch a\n',
    undefined,
    `search a\n${fallback}`,
  ],
  ['and without a file', 'bridge', '', undefined, fallback],
  ['without a network nobody is asked', 'none', 'nameserver 127.0.0.1\n', undefined, ''],
] as const)
  test(title, t => {
    t.is(resolverText(network, { own, resolved }), expected)
  })
