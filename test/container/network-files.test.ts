import { readFileSync, statSync } from 'node:fs'
import test from 'ava'
import { makeNetworkFiles } from '../../src/container/network-files.ts'
import { makeScratch } from '../helpers/scratch.ts'

const endpoint = {
  network: 'bridge',
  networkId: '',
  interface: 'eth0',
  address: '10.77.0.9',
  prefixLength: 20,
  gateway: '10.77.0.1',
  hardwareAddress: '02:6b:0a:4d:00:09',
  aliases: [],
  port: 'kauri0r0009',
}

test('the three files are written, readable for everybody, and mounted over whatever is there', t => {
  using scratch = makeScratch()
  const mounts = makeNetworkFiles({
    directory: scratch.path,
    hostname: 'h',
    network: { mode: 'none', endpoints: [] },
    extraHosts: ['one:192.0.2.1', 'six:2001:db8::1'],
    readOnly: true,
  })
  t.deepEqual(mounts.map(({ destination }) => destination).toSorted(), [
    '/etc/hostname',
    '/etc/hosts',
    '/etc/resolv.conf',
  ])
  for (const { source, options } of mounts) {
    t.is(statSync(source).mode & 0o777, 0o644)
    t.true(options.includes('dest-nofollow'))
    t.true(options.includes('ro'))
  }
  t.is(readFileSync(scratch.at('hostname'), 'utf8'), 'h\n')
  t.regex(
    readFileSync(scratch.at('hosts'), 'utf8'),
    /^127\.0\.0\.1\tlocalhost\n[^]*192\.0\.2\.1\tone\n2001:db8::1\tsix\n$/,
  )
})

test('on the bridge the container’s own name leads to its address', t => {
  using scratch = makeScratch()
  makeNetworkFiles({
    directory: scratch.path,
    hostname: 'h.example.org',
    network: { mode: 'bridge', endpoints: [endpoint] },
    extraHosts: ['gate:host-gateway'],
    resolver: { servers: ['192.0.2.53'], search: ['.'], options: ['ndots:1', 'rotate'] },
    readOnly: false,
  })
  const hosts = readFileSync(scratch.at('hosts'), 'utf8')
  t.true(hosts.endsWith('\n10.77.0.1\tgate\n10.77.0.9\th.example.org h\n'), hosts)
  const resolver = readFileSync(scratch.at('resolv.conf'), 'utf8')
  t.is(resolver, 'nameserver 192.0.2.53\noptions ndots:1 rotate\n')
})

test('without a network nothing stands for the host', t => {
  using scratch = makeScratch()
  const request = { directory: scratch.path, hostname: 'h', readOnly: false } as const
  const extraHosts = ['gate:host-gateway']
  t.throws(
    () => makeNetworkFiles({ ...request, network: { mode: 'none', endpoints: [] }, extraHosts }),
    { code: 'USAGE' },
  )
  makeNetworkFiles({ ...request, network: { mode: 'host', endpoints: [] }, extraHosts })
  t.true(readFileSync(scratch.at('hosts'), 'utf8').endsWith('127.0.0.1\tgate\n'))
})
