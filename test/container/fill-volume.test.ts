import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import test from 'ava'
import { fillVolume } from '../../src/container/fill-volume.ts'
import { makeScratch, type Scratch } from '../helpers/scratch.ts'

const files = 400

/** An image's directory with many files one level down, and an empty volume. */
function makePlaces(scratch: Scratch): { readonly directory: string; readonly mark: string } {
  mkdirSync(scratch.at('image/inner'), { recursive: true })
  for (let i = 0; i < files; i++) writeFileSync(scratch.at('image/inner', `file-${i}`), `${i}`)
  mkdirSync(scratch.at('volume'))
  return { directory: scratch.at('volume'), mark: scratch.at('mark') }
}

test('what a killed copy left is filled again, and a volume with content is left alone', async t => {
  using scratch = makeScratch()
  const place = makePlaces(scratch)
  const work = { fd: openSync(scratch.at('image'), 'r'), name: 'data', signal: undefined }
  mkdirSync(scratch.at('volume/inner'))
  writeFileSync(scratch.at('volume/inner/file-7'), 'half')
  await fillVolume(place, work)
  t.deepEqual(readdirSync(scratch.at('volume/inner')), ['file-7'])
  writeFileSync(place.mark, '')
  await fillVolume(place, work)
  t.is(readdirSync(scratch.at('volume/inner')).length, files)
  t.is(readFileSync(scratch.at('volume/inner/file-7'), 'utf8'), '7')
  t.false(existsSync(place.mark))
})

test('who has the volume while it is filled cannot lead the copy out of it (CVE-2018-15664 class)', async t => {
  using scratch = makeScratch()
  const place = makePlaces(scratch)
  mkdirSync(scratch.at('host'))
  const script = 'echo ready; until [ -d inner ]; do :; done; mv inner old; ln -s ../host inner'
  const attacker = spawn('sh', ['-c', script], {
    cwd: place.directory,
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const ended = once(attacker, 'exit')
  await once(attacker.stdout, 'data')
  const work = { fd: openSync(scratch.at('image'), 'r'), name: 'data', signal: undefined }
  // The copy is ready before the link is there, or is refused at it.
  await fillVolume(place, work).catch((error: unknown) =>
    t.like(error, { code: 'ARCHIVE_INVALID' }),
  )
  await ended
  t.deepEqual(readdirSync(scratch.at('host')), [])
})
