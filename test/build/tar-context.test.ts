// Contexts that come as tars: what tells one from a Dockerfile, and that a hostile one stays where it is put.

import { execFileSync } from 'node:child_process'
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import test from 'ava'
import { archiveStartBytes, isArchiveStart, unpackContext } from '../../src/build/tar-context.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { tarOf } from '../helpers/tar.ts'

test('tars in any packing are told from Dockerfiles by their beginning', t => {
  using scratch = makeScratch()
  mkdirSync(scratch.at('in'))
  writeFileSync(scratch.at('in/file'), 'x')
  for (const flags of ['-cf', '-czf', '-cjf', '-cJf', '--format=v7 -cf', '--format=posix -cf']) {
    execFileSync('tar', [...flags.split(' '), scratch.at('t'), '-C', scratch.at('in'), '.'])
    const start = readFileSync(scratch.at('t')).subarray(0, archiveStartBytes)
    t.true(isArchiveStart(start), flags)
  }
  t.true(isArchiveStart(Buffer.alloc(1024)), 'an empty tar')
  for (const text of [
    '',
    'FROM scratch\n',
    'x'.repeat(2000),
    'BZ is not enough',
    '\uFEFF# escape=`\n',
  ])
    t.false(isArchiveStart(Buffer.from(text)), text.slice(0, 30))
})

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes
}

test('nothing of a hostile context lands outside', async t => {
  using scratch = makeScratch()
  mkdirSync(scratch.at('secret'))
  writeFileSync(scratch.at('secret/file'), 'kept')
  const attacks = [
    [{ name: '../escaped', body: 'x' }],
    [{ name: '/escaped', body: 'x' }],
    [{ name: 'a/../../escaped', body: 'x' }],
    [
      { name: 'out', link: scratch.at('secret'), type: '2' },
      { name: 'out/file', body: 'x' },
    ],
    [
      { name: 'out', link: '..', type: '2' },
      { name: 'out/escaped', body: 'x' },
    ],
    [{ name: 'hard', link: scratch.at('secret/file'), type: '1' }],
  ]
  for (const [index, entries] of attacks.entries()) {
    const tar = tarOf(...entries)
    await unpackContext(once(tar), scratch.at(`context-${index}`), { name: 'it' }).catch(() => {})
    t.deepEqual(
      readdirSync(scratch.path).filter(name => name.startsWith('escaped')),
      [],
      String(index),
    )
    t.is(readFileSync(scratch.at('secret/file'), 'utf8'), 'kept')
    t.is(lstatSync(scratch.at('secret/file')).nlink, 1)
  }
  t.false(existsSync('/escaped'))
})

test('the newest time of an entry is the result, and broken archives are refused', async t => {
  using scratch = makeScratch()
  const tar = tarOf({ name: 'a', body: 'A' })
  t.is(await unpackContext(once(tar), scratch.at('ok'), { name: 'it' }), 1_000_000_000)
  t.is(readFileSync(scratch.at('ok/a'), 'utf8'), 'A')
  await t.throwsAsync(
    unpackContext(once(tar.subarray(0, 700)), scratch.at('cut'), { name: 'it' }),
    {
      code: 'ARCHIVE_INVALID',
    },
  )
})
