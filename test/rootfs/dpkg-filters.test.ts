import test from 'ava'
import { isDocumentation } from '../../src/rootfs/dpkg-filters.ts'

const cases: { path: string; type?: string; want: boolean }[] = [
  { path: '/usr/share/doc/bash/README', want: true },
  { path: '/usr/share/doc/bash/copyright', want: false },
  { path: '/usr/share/doc/bash', type: 'directory', want: false },
  { path: '/usr/share/doc/libfoo', type: 'symlink', want: false },
  { path: '/usr/share/man', type: 'directory', want: false },
  { path: '/usr/share/man/man1', type: 'directory', want: true },
  { path: '/usr/share/man/man1/ls.1.gz', want: true },
  { path: '/usr/share/info/dir', want: true },
  { path: '/usr/share/docs/x', want: false },
  { path: '/usr/bin/man', want: false },
]
for (const { path, type = 'file', want } of cases)
  test(`${type} ${path} is ${want ? '' : 'no '}documentation`, t => {
    t.is(isDocumentation(path, type), want)
  })
