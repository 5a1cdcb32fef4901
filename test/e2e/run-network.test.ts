// Containers on the bridge: what they have, and that nothing of it stays.

import { setTimeout as sleep } from 'node:timers/promises'
import { testWith } from '../helpers/needs.ts'
import { compileTalk, useNetwork } from '../helpers/network-containers.ts'
import { makeScratch } from '../helpers/scratch.ts'

const test = testWith({ root: true, programs: ['ip', 'nsenter'] })
const net = useNetwork()

test('a container reaches the world under the address of the host', async t => {
  t.is(await net.printed(`talk connect ${net.host.world} 80`), `from ${net.host.address}`)
  t.deepEqual(await net.onlyBridgeIsLeft(), [])
})

test('it has one interface beside the loopback, with an address, a route and the MTU of the host’s way out', async t => {
  const text = await net.printed(
    'ip -o -4 addr show dev eth0; ip route; ip -o link; cat /etc/hosts',
  )
  const [, address = ''] = /inet (10\.77\.\d+\.\d+)\/20 brd 10\.77\.15\.255/.exec(text) ?? []
  t.not(address, '', text)
  t.regex(text, /^default via 10\.77\.0\.1 dev eth0/m)
  t.regex(text, /eth0@.* mtu 1400 /)
  t.is(text.match(/^\d+: /gm)?.length, 3, text)
  t.regex(text, new RegExp(`^${address}\\t[0-9a-f]{12}$`, 'm'))
})

test('there is no IPv6 address but the loopback’s', async t => {
  t.regex(await net.printed('cat /proc/net/if_inet6'), /^0{31}1 01 80 10 80 +lo$/)
})

test('containers reach each other, the world does not reach them', async t => {
  using server = await net.startContainer('talk listen 7000 30')
  t.is(await net.printed(`talk connect ${server.address} 7000`), 'hello')
  net.host.inWorld('ip', 'route', 'replace', '10.77.0.0/20', 'via', net.host.address)
  using scratch = makeScratch()
  const probe = scratch.at('talk')
  compileTalk(probe)
  t.throws(() => net.host.inWorld(probe, 'connect', server.address, '7000'))
  t.is(net.host.onHost(probe, 'connect', server.address, '7000'), 'hello\n')
  net.host.inWorld('ip', 'route', 'del', '10.77.0.0/20')
})

test('twenty containers at once have twenty addresses, and leave nothing', async t => {
  using scratch = makeScratch()
  // Nobody goes before all are there.
  const script = 'touch /all/$HOSTNAME; while [ $(ls /all | wc -l) -lt 20 ]; do sleep 0.1; done'
  const results = await Promise.all(
    Array.from({ length: 20 }, () =>
      net.run(`${script}; hostname -i`, '-v', `${scratch.path}:/all`),
    ),
  )
  for (const { code, stderr } of results) t.is(code, 0, stderr)
  t.is(new Set(results.map(({ stdout }) => stdout)).size, 20)
  t.deepEqual(await net.onlyBridgeIsLeft(), [])
})

for (const afterMs of [60, 75, 90, 120, 200])
  test(`kauri killed after ${afterMs} ms leaves no interface`, async t => {
    const words = ['run', '--rm', 'talker', 'sleep', '30']
    const child = net.kauri.start(words, { through: net.host.through })
    const ended = new Promise(resolve => child.once('close', resolve))
    await sleep(afterMs)
    child.kill('SIGKILL')
    child.stdout?.resume()
    child.stderr?.resume()
    await ended
    t.deepEqual(await net.onlyBridgeIsLeft(), [])
    t.is(await net.printed(`talk connect ${net.host.world} 80`), `from ${net.host.address}`)
  })

test('the caller names resolvers, domains, options and hosts', async t => {
  const options = ['--dns', '192.0.2.53', '--dns', '2001:db8::53', '--dns-search', 'example.org']
  const more = ['--dns-option', 'ndots:2', '--add-host', 'h:host-gateway', '--hostname', 'a.b.c']
  const text = await net.printed('cat /etc/resolv.conf /etc/hosts', ...options, ...more)
  const resolver =
    'nameserver 192.0.2.53\nnameserver 2001:db8::53\nsearch example.org\noptions ndots:2\n'
  t.true(text.startsWith(resolver), text)
  t.regex(text, /\n10\.77\.0\.1\th\n10\.77\.\d+\.\d+\ta\.b\.c a$/)
})

test('words that are no resolver are refused', async t => {
  for (const words of [
    ['--dns', 'name'],
    ['--dns-search', 'a b'],
    ['--dns-option', ''],
    ['--network', 'container:x'],
  ])
    t.is((await net.run('true', ...words)).code, 125, words.join(' '))
})
