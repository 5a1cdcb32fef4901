// skopeo and umoci write into the store while kauri does: no command of kauri's fails because of what they write in place,
// what they name is kept by kauri, and what kauri names can be read by them.

import { execFile } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { promisify } from 'node:util'
import { type KauriProgram, kauriProgram } from '../helpers/kauri-program.ts'
import { testWith } from '../helpers/needs.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { tarOf } from '../helpers/tar.ts'

const run = promisify(execFile)

const test = testWith({ root: true, programs: ['skopeo', 'umoci'] })

async function must(kauri: KauriProgram, ...args: readonly string[]): Promise<void> {
  const { code, stderr } = await kauri.run(args)
  if (code !== 0) throw new Error(`kauri ${args.join(' ')}: ${stderr}`)
}

async function importOf(kauri: KauriProgram, name: string): Promise<void> {
  const input = tarOf({ name: './', type: '5' }, { name: './file', body: name.repeat(999) })
  const { code, stderr } = await kauri.run(['import', '-', name], { input })
  if (code !== 0) throw new Error(stderr)
}

/** Reads whatever policy the machine has not. */
function skopeo(policy: string, ...args: readonly string[]): Promise<unknown> {
  return run('skopeo', ['--policy', policy, 'copy', '-q', ...args])
}

function namesOf(listed: string): string[] {
  const images: readonly { reference: string | null }[] = JSON.parse(listed)
  return images.map(({ reference }) => String(reference))
}

test('kauri works beside skopeo and umoci in one layout', async t => {
  t.timeout(600_000)
  using kauri = kauriProgram()
  using scratch = makeScratch()
  const policy = scratch.at('policy.json')
  writeFileSync(policy, '{"default":[{"type":"insecureAcceptAnything"}]}')
  await importOf(kauri, 'seed')
  await must(kauri, 'save', '--format', 'oci-dir', '-o', scratch.at('source'), 'seed')
  const store = path.join(kauri.dataRoot, 'oci')
  const source = `oci:${scratch.at('source')}:docker.io/library/seed:latest`
  mkdirSync(scratch.at('home'))
  const others = async (): Promise<void> => {
    for (let turn = 0; turn < 6; turn++) {
      // They lose what others write at the same time, and may fail: that is theirs.
      await skopeo(policy, source, `oci:${store}:skopeo:${turn}`).catch(() => {})
      await run('umoci', [
        'tag',
        '--image',
        `${store}:docker.io/library/seed:latest`,
        `u${turn}`,
      ]).catch(() => {})
    }
  }
  const ours = async (member: number): Promise<void> => {
    for (let turn = 0; turn < 3; turn++) {
      await importOf(kauri, `ours-${member}:${turn}`)
      await must(kauri, 'images', '-q')
    }
  }
  await Promise.all([others(), ours(0), ours(1), ours(2)])
  const checked = await kauri.run(['fsck'])
  t.is(checked.code, 0, checked.stdout)
  // One after the other nobody loses anything.
  await importOf(kauri, 'first')
  await skopeo(policy, source, `oci:${store}:example.org/second:1`)
  await importOf(kauri, 'third')
  await run('umoci', ['tag', '--image', `${store}:example.org/second:1`, 'fourth'])
  await importOf(kauri, 'fifth')
  await must(kauri, 'gc', '--older-than', '0s')
  const names = namesOf((await kauri.run(['images', '--json'])).stdout)
  for (const name of ['first', 'third', 'fourth', 'fifth'])
    t.true(names.includes(`docker.io/library/${name}:latest`), name)
  t.true(names.includes('example.org/second:1'))
  const verified = await kauri.run(['verify', ...names])
  t.is(verified.code, 0, verified.stderr)
  await run('umoci', ['stat', '--image', `${store}:docker.io/library/fifth:latest`, '--json'])
  const copied = `oci:${scratch.at('copied')}:x`
  await t.notThrowsAsync(skopeo(policy, `oci:${store}:docker.io/library/third:latest`, copied))
})
