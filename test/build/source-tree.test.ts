// A tree that is read from: what its ignore file leaves, listed once as long as it is small.

import { closeSync, constants, openSync, writeFileSync } from 'node:fs'
import test from 'ava'
import { type SourceTreeOptions, sourceTree } from '../../src/build/source-tree.ts'
import { makeTree } from '../helpers/add-trial.ts'
import { makeScratch } from '../helpers/scratch.ts'

function withTree(
  work: (tree: ReturnType<typeof sourceTree>, root: string) => void,
  options: Partial<SourceTreeOptions> = {},
): void {
  using scratch = makeScratch()
  makeTree(scratch.path, { 'a/x': '', 'a/y': '', 'b/x': '', 'b/c/x': '', l: { link: 'a' } })
  const fd = openSync(scratch.path, constants.O_DIRECTORY)
  try {
    work(sourceTree(fd, { name: 'tree', keepsOwners: false, ...options }), scratch.path)
  } finally {
    closeSync(fd)
  }
}

const namesOf = (entries: readonly { readonly name: string }[]): string[] =>
  entries.map(({ name }) => name)

test('names are sorted, links are neither followed nor directories', t => {
  withTree(tree => {
    t.deepEqual(namesOf(tree.list('')), ['a', 'b', 'l'])
    t.is(tree.find('l')?.type, 'link')
    t.is(tree.find('l/x'), undefined)
    t.is(tree.find('a/x/y'), undefined)
    t.is(tree.find('')?.type, 'directory')
    t.throws(() => tree.list('l'))
  })
})

test('what is ignored is neither listed nor found, but for directories with something in them', t => {
  withTree(
    tree => {
      t.deepEqual(namesOf(tree.list('')), ['b'])
      t.deepEqual(namesOf(tree.list('b')), ['c'])
      t.is(tree.find('a'), undefined)
      t.is(tree.find('b/x'), undefined)
      t.is(tree.find('b/c/x')?.type, 'file')
      t.is(tree.find('b')?.type, 'directory')
    },
    { ignore: ['*', '!b/c'] },
  )
})

test('a small tree is listed once', t => {
  withTree((tree, root) => {
    t.deepEqual(namesOf(tree.list('a')), ['x', 'y'])
    writeFileSync(`${root}/a/z`, '')
    t.deepEqual(namesOf(tree.list('a')), ['x', 'y'])
    t.true(tree.isRemembered())
  })
})

test('what is too much is listed again, and the tree says so', t => {
  withTree(
    (tree, root) => {
      t.deepEqual(namesOf(tree.list('b/c')), ['x'])
      t.true(tree.isRemembered())
      t.deepEqual(namesOf(tree.list('a')), ['x', 'y'])
      t.false(tree.isRemembered())
      writeFileSync(`${root}/a/z`, '')
      writeFileSync(`${root}/b/c/z`, '')
      t.deepEqual(namesOf(tree.list('a')), ['x', 'y', 'z'])
      t.deepEqual(namesOf(tree.list('b/c')), ['x'])
    },
    { mostRemembered: 2 },
  )
})
