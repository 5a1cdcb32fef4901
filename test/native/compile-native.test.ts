import { execFile } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { promisify } from 'node:util'
import test from 'ava'
import { makeScratch, type Scratch } from '../helpers/scratch.ts'

const run = promisify(execFile)

const source = path.join(import.meta.dirname, '../../src/native')

/** Prints the addon's path, or the code and hint of the failure, in a process of its own. */
async function compileIn(
  scratch: Scratch,
  environment: Record<string, string> = {},
): Promise<string> {
  const script = `
    import { compiledPath } from '${source}/compile-native.ts'
    try { console.log(compiledPath('addon')) } catch (error) { console.log(error.code, error.hint) }`
  writeFileSync(scratch.at('script.mts'), script)
  const { stdout } = await run(process.execPath, [scratch.at('script.mts')], {
    env: { ...process.env, KAURI_NATIVE_DIR: scratch.at('native'), ...environment },
  })
  return stdout.trim()
}

test('processes that compile at the same time all get a whole program', async t => {
  using scratch = makeScratch()
  const paths = await Promise.all([compileIn(scratch), compileIn(scratch), compileIn(scratch)])
  for (const compiled of paths) t.true(existsSync(compiled), compiled)
  t.true(existsSync(await compileIn(scratch, { PATH: '/nonexistent' })))
  t.deepEqual(
    readdirSync(scratch.at('native')).filter(
      name => !/^kauri-addon-[0-9a-f]{16}\.node$/.test(name),
    ),
    [],
  )
})

test('without a compiler the message has the line that installs one', async t => {
  using scratch = makeScratch()
  const said = await compileIn(scratch, { PATH: '/nonexistent' })
  t.is(said, 'PREREQUISITE_MISSING apt-get install gcc libc6-dev')
})

test('a compiler that fails leaves nothing and the same message', async t => {
  using scratch = makeScratch()
  mkdirSync(scratch.at('bin'))
  writeFileSync(scratch.at('bin', 'cc'), '#!/bin/sh\necho "stdio.h: No such file" >&2\nexit 1\n', {
    mode: 0o755,
  })
  const said = await compileIn(scratch, { PATH: `${scratch.at('bin')}:/usr/bin:/bin` })
  t.is(said, 'PREREQUISITE_MISSING apt-get install gcc libc6-dev')
  t.deepEqual(readdirSync(scratch.at('native')), [])
})

test('what is compiled is writable by its owner alone, whatever the umask is', async t => {
  using scratch = makeScratch()
  const umask = process.umask(0)
  try {
    t.is(statSync(await compileIn(scratch)).mode & 0o7777, 0o755)
    t.is(statSync(scratch.at('native')).mode & 0o7777, 0o755)
  } finally {
    process.umask(umask)
  }
})

test('nothing is run from a directory that others may write', async t => {
  using scratch = makeScratch()
  mkdirSync(scratch.at('native'))
  for (const mode of [0o777, 0o775, 0o1777]) {
    chmodSync(scratch.at('native'), mode)
    t.regex(await compileIn(scratch), /^PERMISSION_DENIED /)
  }
  t.deepEqual(readdirSync(scratch.at('native')), [])
})
