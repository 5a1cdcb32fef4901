// 64 processes that name, import, build, remove and collect garbage in one store at once: nothing is lost.
// KAURI_CROWD_SECONDS=120 makes it last two minutes.

import { existsSync, readdirSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { tryLockFile } from '../../src/native/file-lock.ts'
import { kauriProgram } from '../helpers/kauri-program.ts'
import { testWith } from '../helpers/needs.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { tarOf } from '../helpers/tar.ts'
import { runCrowd } from './programs/store-crowd.ts'

const seconds = Number(process.env['KAURI_CROWD_SECONDS'] ?? 4)

function namesBelow(directory: string): string[] {
  if (!existsSync(directory)) return []
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
}

testWith({ root: true })(
  '64 processes that write and collect at once lose nothing and leave nothing',
  async t => {
    t.timeout((seconds + 600) * 1000)
    using kauri = kauriProgram()
    using scratch = makeScratch()
    const seed = tarOf({ name: './', type: '5' }, { name: './seed', body: 'seed\n'.repeat(9999) })
    t.is((await kauri.run(['import', '-', 'seed'], { input: seed })).code, 0)
    const { kept, counts, failures } = await runCrowd({
      kauri,
      seconds,
      processes: 64,
      directory: scratch.path,
    })
    t.log(JSON.stringify(counts))
    t.deepEqual(failures, [])
    const listed: readonly { reference: string | null }[] = JSON.parse(
      (await kauri.run(['images', '--json'])).stdout,
    )
    const names = listed.map(({ reference }) => String(reference))
    const wanted = new Set([...kept, 'docker.io/library/seed:latest'])
    t.deepEqual([...wanted.symmetricDifference(new Set(names))], [], 'lost, or there again')
    t.is(names.length, wanted.size)
    const verified = await kauri.run(['verify', ...names])
    t.is(verified.code, 0, verified.stderr)
    const checked = await kauri.run(['fsck'])
    t.is(checked.code, 0, checked.stdout)
    const store = path.join(kauri.dataRoot, 'oci')
    t.deepEqual(readdirSync(path.join(store, 'ingest')), [])
    t.deepEqual(
      namesBelow(kauri.dataRoot).filter(name => path.basename(name).startsWith('.kauri-tmp-')),
      [],
    )
    for (const name of readdirSync(store).filter(each => each.endsWith('.lock'))) {
      using lock = tryLockFile(path.join(store, name), 'exclusive')
      t.not(lock, undefined, `${name} is held by nobody`)
    }
  },
)
