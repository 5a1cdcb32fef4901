import test from 'ava'
import { cleanTarPath, joinPath, nameOf, parentOf } from '../../src/layer/tar-path.ts'

const clean = [
  ['a', 'a', 1],
  ['a/b/', 'a/b', 2],
  ['./a', 'a', 1],
  ['/etc/passwd', 'etc/passwd', 2],
  ['///a//b', 'a/b', 2],
  ['a/./b', 'a/b', 2],
  ['a/../b', 'b', 1],
  ['a/b/../../c', 'c', 1],
  ['.', '.', 0],
  ['./', '.', 0],
  ['/', '.', 0],
  ['a/..', '.', 0],
  ['..a/b..', '..a/b..', 2],
] as const

for (const [text, path, depth] of clean)
  test(`${JSON.stringify(text)} is ${path}`, t =>
    t.deepEqual(cleanTarPath(text), { kind: 'path', path, depth }))

for (const text of ['', '..', '../a', 'a/../../b', '/..', './../etc', 'a\0b'])
  test(`${JSON.stringify(text)} is refused`, t => t.is(cleanTarPath(text).kind, 'refused'))

test('paths are taken apart and put together', t => {
  t.is(parentOf('a/b/c'), 'a/b')
  t.is(parentOf('a'), '.')
  t.is(nameOf('a/b'), 'b')
  t.is(nameOf('a'), 'a')
  t.is(joinPath('.', 'a'), 'a')
  t.is(joinPath('a', 'b'), 'a/b')
})
