import test from 'ava'
import { KauriError } from '../../src/core/errors.ts'
import { takeCredentials } from '../../src/rootfs/apt-credentials.ts'

const cases: { address: string; uri: string; netrcLine?: string }[] = [
  { address: 'http://example.org/debian', uri: 'http://example.org/debian' },
  {
    address: 'https://me:s3cret@example.org:8443/debian',
    uri: 'https://example.org:8443/debian',
    netrcLine: 'machine https://example.org:8443/debian login me password s3cret\n',
  },
  {
    address: 'http://me:p%40ss%3A@example.org/',
    uri: 'http://example.org/',
    netrcLine: 'machine http://example.org/ login me password p@ss:\n',
  },
  {
    address: 'http://me:a@b@example.org/x',
    uri: 'http://example.org/x',
    netrcLine: 'machine http://example.org/x login me password a@b\n',
  },
  {
    address: 'http://token@example.org/x',
    uri: 'http://example.org/x',
    netrcLine: 'machine http://example.org/x login token\n',
  },
  { address: 'http://example.org/a@b', uri: 'http://example.org/a@b' },
  { address: 'file:/srv/me@home', uri: 'file:/srv/me@home' },
]
for (const { address, uri, netrcLine } of cases)
  test(`credentials of ${address}`, t => {
    t.deepEqual(takeCredentials(address), netrcLine === undefined ? { uri } : { uri, netrcLine })
  })

test('credentials that a netrc file cannot hold are refused without being told', t => {
  for (const address of [
    'http://me:se%20cret@example.org/',
    'http://me:a%0Amachine@example.org/',
  ]) {
    const error = t.throws(() => takeCredentials(address), { instanceOf: KauriError })
    t.is(error?.code, 'REPOSITORY_INVALID')
    t.false(/cret|%0A|machine/.test(error?.message ?? ''))
  }
})
