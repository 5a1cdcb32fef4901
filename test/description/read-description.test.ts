import { execFileSync } from 'node:child_process'
import { truncateSync } from 'node:fs'
import path from 'node:path'
import test from 'ava'
import { KauriError } from '../../src/core/errors.ts'
import { readDescription } from '../../src/description/read-description.ts'
import { maxDescriptionBytes } from '../../src/description/source-text.ts'
import {
  briefly,
  descriptionText,
  findingsOf,
  makeDirectory,
  readText,
} from './make-description.ts'

const text = descriptionText()

const lookups: readonly { title: string; files: Record<string, string>; file: string }[] = [
  {
    title: 'config.xml comes first',
    files: { 'config.xml': text, 'a.kiwi': text },
    file: 'config.xml',
  },
  {
    title: 'image/config.xml comes second',
    files: { 'image/config.xml': text, 'a.kiwi': text },
    file: 'image/config.xml',
  },
  {
    title: 'the first *.kiwi comes last',
    files: { 'b.kiwi': text, 'a.kiwi': text },
    file: 'a.kiwi',
  },
]

for (const { title, files, file } of lookups)
  test(title, async t => {
    t.is((await readDescription(makeDirectory(t, files))).fileName, file)
  })

test('a file that is named is taken', async t => {
  const directory = makeDirectory(t, { 'config.xml': '', 'b.kiwi': text })
  t.is((await readDescription(directory, { kiwiFile: 'b.kiwi' })).fileName, 'b.kiwi')
})

test('a directory without a description is told', async t => {
  for (const directory of [makeDirectory(t, { 'config.sh': '' }), '/nowhere/at/all'])
    await t.throwsAsync(readDescription(directory), {
      instanceOf: KauriError,
      code: 'DESCRIPTION_NOT_FOUND',
    })
})

test('an invalid description fails with every finding', async t => {
  const directory = makeDirectory(t, {
    'config.xml': descriptionText({ rest: '<userz/>', type: '<type image="tbzz"/>' }),
  })
  const error = await t.throwsAsync(readDescription(directory), { instanceOf: KauriError })
  t.true(error instanceof KauriError)
  if (!(error instanceof KauriError)) return
  t.is(error.code, 'DESCRIPTION_INVALID')
  t.is(error.exitStatus, 2)
  t.deepEqual(briefly(error.diagnostics), ['5:74 value-invalid', '8:1 element-unknown'])
  t.is(error.where?.file, path.join(directory, 'config.xml'))
})

test('scripts and overlays beside the description are found', async t => {
  const directory = makeDirectory(
    t,
    {
      'config.xml': descriptionText({
        rest: '<profiles><profile name="p" description=""/><profile name="q" description=""/></profiles>',
      }),
      'config.sh': '#!/bin/sh\n',
      'images.sh': 'echo without interpreter\n',
      'post_bootstrap.sh': '#!/bin/sh\n',
      'root/etc/motd': 'hi\n',
      'root.tar.gz': 'not looked at where root/ is\n',
      'p/etc/motd': 'p\n',
      q: 'a file, no overlay\n',
    },
    { 'config.sh': 0o755, 'images.sh': 0o755 },
  )
  const { files } = await readDescription(directory)
  t.deepEqual(files, {
    hooks: {
      'post_bootstrap.sh': { isProgram: false },
      'config.sh': { isProgram: true },
      'images.sh': { isProgram: false },
    },
    overlay: 'root',
    profileOverlays: ['p'],
  })
})

test('root.tar.gz is the overlay where there is no root/', async t => {
  const directory = makeDirectory(t, { 'config.xml': text, 'root.tar.gz': '' })
  t.is((await readDescription(directory)).files.overlay, 'root.tar.gz')
})

test('warnings and notes stay with a description that is read', async t => {
  const { findings } = await readText(
    t,
    descriptionText({ preferences: '<version>42</version><packagemanager>apt</packagemanager>' }),
  )
  t.deepEqual(briefly(findings), ['5:10 version-unusual'])
})

test('a file of gigabytes is refused without reading it', async t => {
  const directory = makeDirectory(t, { 'config.xml': '<image>' })
  truncateSync(path.join(directory, 'config.xml'), 3 * 1024 ** 3)
  const startedMs = performance.now()
  const error = await t.throwsAsync(readDescription(directory), { instanceOf: KauriError })
  t.regex(error?.message ?? '', /3221225472 bytes/)
  t.true(performance.now() - startedMs < 1000)
})

test('a named pipe in the place of the file does not hang', async t => {
  const directory = makeDirectory(t, { 'a.txt': '' })
  execFileSync('mkfifo', [path.join(directory, 'config.xml')])
  await t.throwsAsync(readDescription(directory), {
    instanceOf: KauriError,
    code: 'DESCRIPTION_INVALID',
  })
})

test('the largest file that is read is read in bounded time', async t => {
  const filler = `<!-- ${'x'.repeat(maxDescriptionBytes - 4000)} -->`
  const startedMs = performance.now()
  t.deepEqual(await findingsOf(t, descriptionText({ rest: filler })), [])
  const attribute = `<users><user name="tux" password="${'x'.repeat(maxDescriptionBytes - 4000)}"/></users>`
  t.deepEqual(briefly(await findingsOf(t, descriptionText({ rest: attribute }))), [
    '8:35 password-form',
  ])
  t.true(performance.now() - startedMs < 10_000)
})

test('a thousand lines of packages are read', async t => {
  const packages = Array.from({ length: 1000 }, (_, n) => `<package name="p${n}"/>`).join('\n')
  const description = await readText(
    t,
    descriptionText({ packages: `<packages type="image">${packages}</packages>` }),
  )
  t.is(description.packages[0]?.packages.length, 1000)
  t.is(description.packages[0]?.packages[999]?.name.where.line, 1006)
})
