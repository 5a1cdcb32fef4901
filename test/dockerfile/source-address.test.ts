import test from 'ava'
import { findContextAddress, findSourceAddress } from '../../src/dockerfile/source-address.ts'

const git = (repository: string, chosen: object = {}): object => ({
  kind: 'git',
  repository,
  ...chosen,
})
const http = (url: string): object => ({ kind: 'http', url })

for (const [text, want] of [
  ['https://example.org/a/b.git', git('https://example.org/a/b.git')],
  ['HTTPS://example.org/b.git', git('https://example.org/b.git')],
  ['http://example.org/b.git#main', git('http://example.org/b.git', { revision: 'main' })],
  ['https://example.org/b.git#', git('https://example.org/b.git')],
  [
    'https://example.org/b.git#v1:/sub/../dir/',
    git('https://example.org/b.git', { revision: 'v1', directory: 'dir' }),
  ],
  ['https://example.org/b.git#:dir', git('https://example.org/b.git', { directory: 'dir' })],
  [
    'https://example.org/b.git#a:../../x',
    git('https://example.org/b.git', { revision: 'a', directory: 'x' }),
  ],
  ['https://me:pw@example.org:8443/b.git', git('https://me:pw@example.org:8443/b.git')],
  ['git://example.org/b', git('git://example.org/b')],
  ['ssh://git@example.org:22/b', git('ssh://git@example.org:22/b')],
  ['git@example.org:a/b.git#main', git('git@example.org:a/b.git', { revision: 'main' })],
  [
    'user-1@example.org:b?ref=x&subdir=y',
    git('user-1@example.org:b', { revision: 'x', directory: 'y' }),
  ],
  [
    'https://example.org/b.git?branch=x&commit=abc',
    git('https://example.org/b.git', { revision: 'refs/heads/x', checksum: 'abc' }),
  ],
  [
    'https://example.org/b.git?tag=v1',
    git('https://example.org/b.git', { revision: 'refs/tags/v1' }),
  ],
  [
    'https://example.org/b.git?tag=refs/tags/v1',
    git('https://example.org/b.git', { revision: 'refs/tags/v1' }),
  ],
  ['https://example.org/b.git?ref=a#a', git('https://example.org/b.git', { revision: 'a' })],
  [
    'https://example.org/b.git?keep-git-dir&submodules=false&mtime=commit&fetch-by-commit=1',
    git('https://example.org/b.git', {
      keepGitDirectory: true,
      submodules: false,
      fetchesCommit: true,
      times: 'commit',
    }),
  ],
  ['https://example.org/b.tar.gz', http('https://example.org/b.tar.gz')],
  ['http://example.org/x.git/archive', http('http://example.org/x.git/archive')],
  ['https://example.org/b?x=.git', http('https://example.org/b?x=.git')],
  ['https://example.org/a#b.git', http('https://example.org/a#b.git')],
  ['HTTP://example.org/b', undefined],
  ['ftp://example.org/b.git', undefined],
  ['github.com/a/b', undefined],
  ['./git@example.org:a', undefined],
  ['../a.git', undefined],
  ['a.git', undefined],
  ['a@b', undefined],
  ['', undefined],
  ['.', undefined],
] as const)
  test(`what ADD makes of ${JSON.stringify(text)}`, t => {
    t.deepEqual<unknown, unknown>(findSourceAddress(text), want)
  })

for (const [query, message] of [
  ['ref=a&branch=b', 'ref conflicts: "a" vs "refs/heads/b"'],
  ['tag=a&branch=a', 'branch conflicts with tag'],
  ['ref=a&ref=b', 'query "ref" has multiple values'],
  ['ref=', 'query "ref" has no value'],
  ['who=me', 'unexpected query "who"'],
  ['submodules=maybe', 'invalid submodules value: "maybe"'],
  ['keep-git-dir=2', 'invalid keep-git-dir value: "2"'],
  ['mtime=now', 'invalid mtime value: "now" (must be "checkout" or "commit")'],
] as const)
  test(`a repository's address with ?${query} is refused`, t => {
    t.throws(() => findSourceAddress(`https://example.org/a.git?${query}`), { message })
  })

test('a fragment and a query that disagree are refused', t => {
  t.throws(() => findSourceAddress('https://example.org/a.git?ref=a#b'), {
    message: 'ref conflicts: "b" vs "a"',
  })
  t.throws(() => findSourceAddress('https://example.org/a.git?subdir=a#:b'), {
    message: 'subdir conflicts: "b" vs "a"',
  })
})

test('a context may leave out the scheme for github.com', t => {
  t.deepEqual<unknown, unknown>(
    findContextAddress('github.com/a/b#main:dir'),
    git('https://github.com/a/b', { revision: 'main', directory: 'dir' }),
  )
  t.deepEqual<unknown, unknown>(
    findContextAddress('https://example.org/a'),
    http('https://example.org/a'),
  )
  t.is(findContextAddress('github.org/a/b'), undefined)
})
