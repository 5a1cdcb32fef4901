// Published ports: from the world, from the host, and when their holder is gone.

import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { testWith } from '../helpers/needs.ts'
import { compileTalk, useNetwork } from '../helpers/network-containers.ts'
import { makeScratch } from '../helpers/scratch.ts'

const test = testWith({ root: true, programs: ['ip', 'nsenter'] })
const net = useNetwork()

test('a published port leads to the container, from the world and from the host', async t => {
  using _ = await net.startContainer(
    'talk listen 7000 60',
    '-p',
    '8080:7000',
    '-p',
    '127.0.0.1:8081:7000',
  )
  using scratch = makeScratch()
  const probe = scratch.at('talk')
  compileTalk(probe)
  t.is(net.host.inWorld(probe, 'connect', net.host.address, '8080'), 'hello\n')
  for (const port of ['8080', '8081'])
    t.is(net.host.onHost(probe, 'connect', '127.0.0.1', port), 'hello\n')
  t.throws(() => net.host.inWorld(probe, 'connect', net.host.address, '8081'))
  t.is(await net.printed('talk connect 10.77.0.1 8080'), 'hello')
  const listed = await net.kauri.run(['ps'], { through: net.host.through })
  t.regex(listed.stdout, /0\.0\.0\.0:8080->7000\/tcp, 127\.0\.0\.1:8081->7000\/tcp/)
  const second = await net.run('true', '-p', '8080:80')
  t.is(second.code, 125)
  t.regex(second.stderr, /port 8080\/tcp of the host is in use/)
})

test('what comes to a published port from another machine has that machine’s address', async t => {
  using _ = await net.startContainer('talk listen 7000 60', '-p', '8080:7000')
  using scratch = makeScratch()
  const probe = scratch.at('talk')
  compileTalk(probe)
  t.is(net.host.inWorld(probe, 'connect', net.host.address, '8080'), 'hello\n')
  t.is(net.host.inWorld(probe, 'peer', net.host.address, '8080'), '192.0.2.1\n')
  t.regex(net.host.onHost(probe, 'peer', '127.0.0.1', '8080'), /^10\.77\.0\.1\n$/)
})

test('elements for published ports go with their holder, and nobody fails where the table is gone', async t => {
  t.is(await net.printed('true'), '')
  const network = path.join(import.meta.dirname, '../../src/network')
  const script = `const { openPortRelay } = await import('${network}/port-relay.ts')
    const { portEntries } = await import('${network}/port-translation.ts')
    const { netlinkRequest, nameBytes } = await import('${network}/netlink.ts')
    const count = () => {
      const attributes = [[1, nameBytes('kauri')], [2, nameBytes('published')]]
      const get = { type: 0xa0d, flags: 0x301, header: Uint8Array.of(2, 0, 0, 0), attributes, purpose: 'counting' }
      return String(Buffer.concat(netlinkRequest(12, [get]).map(({ body }) => body)).toString('hex').split('0a4d0909').length - 1)
    }
    const port = { protocol: 'tcp', hostAddress: '', hostPort: 0, containerPort: 81 }
    const told = [count()]
    const relay = await openPortRelay([port, port])
    await relay.leadTo('10.77.9.9', portEntries('kauri', relay.ports, '10.77.9.9'))
    told.push(count())
    await relay[Symbol.asyncDispose]()
    told.push(count())
    const alone = await openPortRelay([port])
    await alone.leadTo('10.77.9.9', portEntries('gone', alone.ports, '10.77.9.9'))
    await alone[Symbol.asyncDispose]()
    console.log(told.join(' '))`
  t.is(net.host.onHost(process.execPath, '--input-type=module', '-e', script), '0 2 0\n')
})

test('a killed kauri frees its ports', async t => {
  {
    using _ = await net.startContainer('sleep 60', '-p', '8080:7000')
  }
  for (let tries = 0; tries < 100; tries++) {
    if ((await net.run('true', '-p', '8080:80')).code === 0) break
    await sleep(20)
  }
  t.is((await net.run('true', '-p', '8080:80')).code, 0)
})

test('ports without the bridge, and what is no port, are refused', async t => {
  for (const words of [
    ['-p', '80:80', '--network', 'none'],
    ['-p', '80:80', '--network', 'host'],
    ['-p', '0:80'],
    ['-p', 'x'],
    ['-p', '1-2:3'],
  ])
    t.is((await net.run('true', ...words)).code, 125, words.join(' '))
})
