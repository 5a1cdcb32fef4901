import { statSync } from 'node:fs'
import process from 'node:process'
import test from 'ava'
import { hostsText, nameFileMounts, resolverText } from '../../src/build/steps/name-files.ts'
import { makeScratch } from '../helpers/scratch.ts'

test('the table has the build’s name, and the caller’s hosts in their order', t => {
  const text = hostsText({
    hostname: 'builder',
    extraHosts: ['db:10.0.0.7', 'six:[fd00::1]', 'five:fd00::2', 'host:host-gateway'],
    gateway: '10.77.0.1',
  })
  t.deepEqual(text.split('\n'), [
    '127.0.0.1\tlocalhost builder',
    '::1\tlocalhost ip6-localhost ip6-loopback',
    '10.0.0.7\tdb',
    'fd00::1\tsix',
    'fd00::2\tfive',
    '10.77.0.1\thost',
    '',
  ])
})

test('without a bridge the host is the container itself', t => {
  const text = hostsText({ hostname: 'b', extraHosts: ['host:host-gateway'] })
  t.true(text.endsWith('127.0.0.1\thost\n'))
})

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

test('both files are mounted read-only, also over links', t => {
  using scratch = makeScratch()
  const umask = process.umask(0o077)
  const mounts = nameFileMounts({
    directory: scratch.path,
    hostname: 'b',
    network: 'none',
    extraHosts: [],
  })
  process.umask(umask)
  t.deepEqual(
    mounts.map(({ destination }) => destination),
    ['/etc/hosts', '/etc/resolv.conf'],
  )
  for (const { options, source } of mounts) {
    t.true(options.includes('ro') && options.includes('dest-nofollow'))
    t.is(statSync(source).mode & 0o777, 0o644)
  }
})
