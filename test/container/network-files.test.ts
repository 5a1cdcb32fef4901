import { readFileSync, statSync } from 'node:fs'
import test from 'ava'
import { makeNetworkFiles, resolverText } from '../../src/container/network-files.ts'
import { makeScratch } from '../helpers/scratch.ts'

const host = `# comment
nameserver 127.0.0.53
nameserver 192.0.2.1
  nameserver ::1
nameserver 2001:db8::1
options edns0
search example.org
`

test('resolvers on the loopback of the host are left out of a private network', t => {
  const want = `# comment
nameserver 192.0.2.1
nameserver 2001:db8::1
options edns0
search example.org
`
  t.is(resolverText(host, 'none'), want)
  t.is(resolverText(host, 'host'), host)
})

test('the three files are written, readable for everybody, and mounted over whatever is there', t => {
  using scratch = makeScratch()
  const mounts = makeNetworkFiles({
    directory: scratch.path,
    hostname: 'h',
    network: 'none',
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
