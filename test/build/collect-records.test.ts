// Records of builds go with what they are about, and not before.

import { mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import test from 'ava'
import { collectBuildRecords } from '../../src/build/collect-records.ts'
import { makeScratch } from '../helpers/scratch.ts'

const stored = 'a'.repeat(64)
const gone = 'b'.repeat(64)
const hourMs = 3_600_000

function writeRecords(dataRoot: string, ageMs: number): void {
  const records = {
    'steps/kept': 'there\n',
    'steps/lost': 'not-there\n',
    'layers/kept': `sha256:${gone} sha256:${stored}\n`,
    'layers/lost': `sha256:${stored} sha256:${gone}\n`,
    'step-layers/kept': `{"diffId":"sha256:${gone}","digest":"sha256:${stored}"}`,
    'step-layers/lost': `{"diffId":"sha256:${stored}","digest":"sha256:${gone}"}`,
    'step-layers/torn': '{"diffId":',
    'stage-contents/any': `sha256:${stored} there\n`,
  }
  const then = new Date(Date.now() - ageMs)
  for (const [name, text] of Object.entries(records)) {
    const file = path.join(dataRoot, 'cache', name)
    mkdirSync(path.dirname(file), { recursive: true })
    writeFileSync(file, text)
    utimesSync(file, then, then)
  }
}

function collect(dataRoot: string, cacheAgeMs: number, dryRun = false): number {
  return collectBuildRecords(dataRoot, {
    isStored: hex => hex === stored,
    isKept: name => name === 'there',
    usedBeforeMs: Date.now() - cacheAgeMs,
    graceMs: hourMs,
    dryRun,
  })
}

const left = (dataRoot: string): string[] =>
  readdirSync(path.join(dataRoot, 'cache'), { recursive: true, encoding: 'utf8' })
    .filter(name => name.includes('/'))
    .toSorted()

test('records whose results are gone are removed', t => {
  using scratch = makeScratch()
  writeRecords(scratch.path, 2 * hourMs)
  t.is(collect(scratch.path, 10 * hourMs, true), 4)
  t.is(left(scratch.path).length, 8)
  t.is(collect(scratch.path, 10 * hourMs), 4)
  t.deepEqual(left(scratch.path), [
    'layers/kept',
    'stage-contents/any',
    'step-layers/kept',
    'steps/kept',
  ])
})

test('what was read from other stages goes when nobody used it for long', t => {
  using scratch = makeScratch()
  writeRecords(scratch.path, 5 * hourMs)
  collect(scratch.path, 4 * hourMs)
  t.false(left(scratch.path).includes('stage-contents/any'))
})

test('records of a build that may be at work stay', t => {
  using scratch = makeScratch()
  writeRecords(scratch.path, 0)
  t.is(collect(scratch.path, 0), 0)
})

test('a state directory without records has none to remove', t => {
  using scratch = makeScratch()
  t.is(collect(scratch.path, 0), 0)
})

test('what a killed writer of any record left goes at once', t => {
  using scratch = makeScratch()
  const directory = scratch.at('cache', 'image-summaries')
  mkdirSync(directory, { recursive: true })
  // No process has this number.
  writeFileSync(path.join(directory, '.kauri-tmp-999999999-x'), 'half')
  writeFileSync(path.join(directory, 'whole'), 'record')
  collect(scratch.path, hourMs)
  t.deepEqual(left(scratch.path), ['image-summaries/whole'])
})
