// Why an archive cannot be written is told in words, and nothing half written stays.

import { mkdirSync, readdirSync } from 'node:fs'
import { Readable } from 'node:stream'
import test from 'ava'
import { asWriteFailure, writeArchive } from '../../src/image/archive-output.ts'
import { makeScratch } from '../helpers/scratch.ts'

const failures: readonly [string, string, RegExp][] = [
  ['EPIPE', 'PROCESS_FAILED', /nobody reads standard output any more/],
  ['ENOSPC', 'DISK_FULL', /no space left while writing standard output/],
  ['EISDIR', 'USAGE', /standard output is a directory/],
]
for (const [errno, code, message] of failures)
  test(`${errno} of a write is told as ${code}`, t => {
    const error = asWriteFailure(
      Object.assign(new Error(errno), { code: errno }),
      'standard output',
    )
    t.throws(
      () => {
        throw error
      },
      { code, message },
    )
  })

test('a directory is no place for an archive, and stays as it is', async t => {
  using scratch = makeScratch()
  mkdirSync(scratch.at('directory'))
  const bytes = Readable.from([Buffer.from('archive')])
  await t.throwsAsync(writeArchive(scratch.at('directory'), bytes), { code: 'USAGE' })
  t.deepEqual(readdirSync(scratch.path), ['directory'])
  t.deepEqual(readdirSync(scratch.at('directory')), [])
})
