// `node pack-tree.ts TREE`: packs a tree into a file beside it and prints the seconds that it took, without those of Node's start.

import { closeSync, openSync, rmSync, writeSync } from 'node:fs'
import { packTree } from '../../src/layer/pack-tree.ts'
import { native } from '../../src/native/native.ts'

const [tree = '.'] = process.argv.slice(2)
const file = `${tree}.${process.pid}.tar`
native()
const startedMs = performance.now()
const fd = openSync(file, 'wx')
for await (const chunk of packTree({ kind: 'tree', path: tree }, { reuseChunks: true }))
  writeSync(fd, chunk)
closeSync(fd)
console.log((performance.now() - startedMs) / 1000)
rmSync(file)
