import test from 'ava'
import { resolveContainerUser } from '../../src/runtime/container-user.ts'

const files = {
  passwd: `root:x:0:0:root:/root:/bin/sh
www:x:33:34::/var/www:/usr/sbin/nologin
1000:x:1001:1001::/home/odd:/bin/sh
bad:x:0x0:0::/:/bin/sh
bare:x:77:77
+nis
`,
  group: 'root:x:0:\nwww:x:34:\nstaff:x:50:www,other\nbad:x:-1:www\nsudo:x:27:www\n',
}

for (const { spec, want } of [
  { spec: 'root', want: { uid: 0, gid: 0, additionalGids: [0], home: '/root' } },
  { spec: '', want: { uid: 0, gid: 0, additionalGids: [0], home: '/root' } },
  { spec: 'www', want: { uid: 33, gid: 34, additionalGids: [34, 50, 27], home: '/var/www' } },
  { spec: '33', want: { uid: 33, gid: 34, additionalGids: [34, 50, 27], home: '/var/www' } },
  { spec: 'www:staff', want: { uid: 33, gid: 50, additionalGids: [50], home: '/var/www' } },
  { spec: '33:1234', want: { uid: 33, gid: 1234, additionalGids: [1234], home: '/var/www' } },
  { spec: '4242', want: { uid: 4242, gid: 0, additionalGids: [0], home: '/' } },
  { spec: '4242:4343', want: { uid: 4242, gid: 4343, additionalGids: [4343], home: '/' } },
  { spec: '1000', want: { uid: 1001, gid: 1001, additionalGids: [1001], home: '/home/odd' } },
  { spec: 'bare', want: { uid: 77, gid: 77, additionalGids: [77], home: '/' } },
  { spec: '4294967294', want: { uid: 4294967294, gid: 0, additionalGids: [0], home: '/' } },
])
  test(`user ${JSON.stringify(spec)} is ${want.uid}:${want.gid}`, t => {
    t.deepEqual(resolveContainerUser(spec, files), want)
  })

test('without files only numbers are users', t => {
  t.is(resolveContainerUser('5:6', {}).gid, 6)
  t.throws(() => resolveContainerUser('www', {}), {
    code: 'USAGE',
    message: /unable to find user www/,
  })
})

for (const spec of ['0x0', '1e3', ' 0', '-1', '+0', '4294967295', '00000000000', 'nobody', 'bad'])
  test(`CVE-2026-30892: ${JSON.stringify(spec)} is nobody, not somebody else`, t => {
    t.throws(() => resolveContainerUser(spec, files), { code: 'USAGE' })
  })

for (const spec of ['a:b:c', 'root:', ':', 'root:nogroup', 'root:bad'])
  test(`${JSON.stringify(spec)} is refused`, t => {
    t.throws(() => resolveContainerUser(spec, files), { code: 'USAGE' })
  })
