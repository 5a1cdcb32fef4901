// Caches that leave the machine, as people use them: a second state directory is the other machine.

import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { ExecutionContext } from 'ava'
import { type KauriProgram, kauriProgram } from '../helpers/kauri-program.ts'
import { testWith } from '../helpers/needs.ts'
import { makeScratch, type Scratch } from '../helpers/scratch.ts'
import { makeSmallRoot, tarOfRoot } from '../helpers/small-root.ts'

const test = testWith({ root: true })

const dockerfile = `FROM small AS tools
RUN --mount=type=cache,target=/cache,id=tools echo made >> /cache/log && cp /cache/log /tool
FROM small
COPY --from=tools /tool /tool
RUN cat /tool > /used
COPY file /file
`

let archive: Buffer | undefined

/** A machine with the image that builds start from, the same on each. */
async function machine(): Promise<KauriProgram> {
  const kauri = kauriProgram()
  archive ??= await archiveOfBase(kauri)
  const { code, stderr } = await kauri.run(['load'], { input: archive })
  if (code !== 0) throw new Error(stderr)
  return kauri
}

async function archiveOfBase(kauri: KauriProgram): Promise<Buffer> {
  using scratch = makeScratch()
  mkdirSync(scratch.at('root'))
  makeSmallRoot(scratch.at('root'))
  const input = tarOfRoot(scratch.at('root'))
  const imported = await kauri.run(['import', '-', 'small'], { input })
  const saved = await kauri.run(['save', '-o', scratch.at('small.tar'), 'small'])
  if (imported.code !== 0 || saved.code !== 0) throw new Error(imported.stderr + saved.stderr)
  return readFileSync(scratch.at('small.tar'))
}

function contextIn(scratch: Scratch, text = 'one'): string {
  const directory = scratch.at('context')
  mkdirSync(directory, { recursive: true })
  writeFileSync(path.join(directory, 'Dockerfile'), dockerfile)
  writeFileSync(path.join(directory, 'file'), text)
  return directory
}

interface Built {
  readonly digest: string
  /** Progress of the steps. */
  readonly told: string
}

async function build(
  t: ExecutionContext,
  kauri: KauriProgram,
  ...words: readonly string[]
): Promise<Built> {
  const all = ['build', '--network', 'none', '--progress', 'plain', ...words]
  const { code, stdout, stderr } = await kauri.run(all)
  t.is(code, 0, stderr)
  return { digest: stdout.trim(), told: stderr }
}

const ran = (told: string): boolean =>
  /RUN [^\n]*\n(?:#\d+ (?!CACHED)[^\n]*\n)*#\d+ DONE/.test(told)

for (const mode of ['min', 'max'])
  test(`another machine takes everything from a directory of mode ${mode}`, async t => {
    using scratch = makeScratch()
    using one = await machine()
    using other = await machine()
    const context = contextIn(scratch)
    const cache = scratch.at('cache')
    const made = await build(t, one, '--cache-to', `type=local,dest=${cache},mode=${mode}`, context)
    const taken = await build(t, other, '--cache-from', `type=local,src=${cache}`, context)
    t.true(ran(made.told), made.told)
    t.is(taken.digest, made.digest)
    t.false(ran(taken.told), taken.told)
    t.false(ran((await build(t, other, context)).told), 'and needs the directory no more')
  })

test('a changed file runs only what reads it, on what the cache has', async t => {
  using scratch = makeScratch()
  using one = await machine()
  using other = await machine()
  const cache = scratch.at('cache')
  await build(t, one, '--cache-to', `type=local,dest=${cache},mode=max`, contextIn(scratch))
  const context = contextIn(scratch, 'two')
  const epoch = ['--source-date-epoch', '1700000000']
  const there = await build(t, one, ...epoch, context)
  const here = await build(t, other, ...epoch, '--cache-from', `type=local,src=${cache}`, context)
  t.is(here.digest, there.digest)
  t.false(ran(here.told), here.told)
})

test('cache mounts travel with a cache of mode max', async t => {
  using scratch = makeScratch()
  using one = await machine()
  using other = await machine()
  const context = contextIn(scratch)
  const cache = scratch.at('cache')
  await build(t, one, '--cache-to', `type=local,dest=${cache},mode=max`, context)
  const root = scratch.at('root')
  const words = ['--cache-from', `type=local,src=${cache}`, '--no-cache', '-o', root]
  await build(t, other, ...words, context)
  t.is(readFileSync(path.join(root, 'used'), 'utf8'), 'made\nmade\n')
})

test('a directory is used again, and holds one cache for each tag', async t => {
  using scratch = makeScratch()
  using one = await machine()
  const cache = scratch.at('cache')
  for (const text of ['a', 'b'])
    await build(t, one, '--cache-to', `type=local,dest=${cache}`, contextIn(scratch, text))
  const words = ['--cache-to', `type=local,dest=${cache},tag=other`]
  await build(t, one, ...words, contextIn(scratch, 'c'))
  const before = readdirSync(path.join(cache, 'blobs', 'sha256')).length
  await build(t, one, ...words, contextIn(scratch, 'd'))
  t.is(
    readdirSync(path.join(cache, 'blobs', 'sha256')).length,
    before,
    'what is not needed any more goes',
  )
  const index = JSON.parse(readFileSync(path.join(cache, 'index.json'), 'utf8'))
  t.is(index.manifests.length, 2)
  const blobs = readdirSync(path.join(cache, 'blobs', 'sha256'))
  t.false(
    blobs.some(name => name.startsWith('.')),
    'no temporary file is left',
  )
})

test('a cache that cannot be written fails the build, unless errors are to be ignored', async t => {
  using scratch = makeScratch()
  using one = await machine()
  const context = contextIn(scratch)
  const taken = scratch.at('taken')
  mkdirSync(taken)
  writeFileSync(path.join(taken, 'mine'), '')
  const to = `type=local,dest=${taken}`
  const failed = await one.run(['build', '--network', 'none', '--cache-to', to, context])
  t.is(failed.code, 2, failed.stderr)
  await build(t, one, '--cache-to', `${to},ignore-error=true`, context)
  t.deepEqual(readdirSync(taken), ['mine'])
  rmSync(taken, { recursive: true })
})
