// Where a Dockerfile and its ignore file are looked for, and that links of a context lead to nothing outside.

import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import test from 'ava'
import { findDockerfile, findIgnoreFile } from '../../src/cli/dockerfile-file.ts'
import { makeScratch } from '../helpers/scratch.ts'

function requestFor(directory: string, file?: string, isLocal = true) {
  return { directory, isLocal, shownDirectory: 'ctx', file }
}

test('the usual names are tried in turn, and shown as reachable from here', async t => {
  using scratch = makeScratch()
  for (const name of ['Containerfile', 'dockerfile', 'Dockerfile']) {
    writeFileSync(scratch.at(name), name)
    const found = await findDockerfile(requestFor(scratch.path))
    t.like(found, { text: name, name: `ctx/${name}`, path: scratch.at(name) })
  }
})

test('a file that is named is relative to the working directory, or to a context from elsewhere', async t => {
  using scratch = makeScratch()
  mkdirSync(scratch.at('sub'))
  writeFileSync(scratch.at('sub/dockerfile'), 'named')
  const named = await findDockerfile(requestFor(scratch.path, scratch.at('sub/Dockerfile')))
  t.is(named.name, scratch.at('sub/dockerfile'))
  const inside = await findDockerfile(requestFor(scratch.path, 'sub/dockerfile', false))
  t.deepEqual(inside, { text: 'named', name: 'sub/dockerfile' })
  await t.throwsAsync(findDockerfile(requestFor(scratch.path, 'sub/dockerfile')), {
    message: 'failed to read dockerfile: open dockerfile: no such file or directory',
  })
})

test('links of a context lead nowhere else, and what is no file is refused', async t => {
  using scratch = makeScratch()
  writeFileSync(scratch.at('secret'), 'SECRET')
  mkdirSync(scratch.at('ctx/real'), { recursive: true })
  symlinkSync('../secret', scratch.at('ctx/Dockerfile'))
  symlinkSync(scratch.at('secret'), scratch.at('ctx/.dockerignore'))
  await t.throwsAsync(findDockerfile(requestFor(scratch.at('ctx'))), { code: 'FILE_NOT_FOUND' })
  t.is(await findIgnoreFile(scratch.at('ctx')), undefined)
  writeFileSync(scratch.at('ctx/real/file'), 'inside')
  symlinkSync('real/file', scratch.at('ctx/Containerfile'))
  t.is((await findDockerfile(requestFor(scratch.at('ctx')))).text, 'inside')
  mkdirSync(scratch.at('ctx/dockerfile'))
  await t.throwsAsync(findDockerfile(requestFor(scratch.at('ctx'))), {
    message: /not a regular file/,
  })
  await t.throwsAsync(findDockerfile(requestFor(scratch.at('ctx'), scratch.at('ctx'))), {
    message: /is a directory/,
  })
})

test('the ignore file beside a Dockerfile goes before that of the context', async t => {
  using scratch = makeScratch()
  mkdirSync(scratch.at('ctx'))
  writeFileSync(scratch.at('ctx/.dockerignore'), '# no\n./a/\n!b\n')
  t.deepEqual(await findIgnoreFile(scratch.at('ctx')), ['a', '!b'])
  writeFileSync(scratch.at('My.dockerignore'), 'mine\n')
  t.deepEqual(await findIgnoreFile(scratch.at('ctx'), { path: scratch.at('My') }), ['mine'])
  t.deepEqual(await findIgnoreFile(scratch.at('ctx'), { path: scratch.at('Other') }), ['a', '!b'])
})
