import { statSync } from 'node:fs'
import process from 'node:process'
import test from 'ava'
import { hostsText, nameFileMounts } from '../../src/build/steps/name-files.ts'
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
