// The commands around images, as a person types them.

import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import test from 'ava'
import { type KauriProgram, kauriProgram } from '../helpers/kauri-program.ts'
import { testWith } from '../helpers/needs.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { tarOf } from '../helpers/tar.ts'

const tarWith = (name: string): Buffer =>
  tarOf({ name: './', type: '5' }, { name: `./${name}`, body: name })

async function importOf(
  kauri: KauriProgram,
  name: string,
  ...more: readonly string[]
): Promise<string> {
  const args = ['import', ...more, '-', name]
  const { stdout } = await kauri.run(args, {
    input: tarWith(name),
    env: { SOURCE_DATE_EPOCH: '1000000000' },
  })
  return stdout.trim()
}

test('images lists docker’s columns, and the forms for programs', async t => {
  using kauri = kauriProgram()
  const digest = await importOf(kauri, 'app:1', '-c', 'LABEL team=a')
  await importOf(kauri, 'example.org/team/base:2')
  const table = (await kauri.run(['images'])).stdout.split('\n')
  t.regex(table[0] ?? '', /^REPOSITORY +TAG +IMAGE ID +CREATED +SIZE$/)
  t.regex(table.join('\n'), /^app +1 +[0-9a-f]{12} +2\d years ago +2\.56kB$/m)
  t.regex(table.join('\n'), /^example\.org\/team\/base +2 /m)
  t.is((await kauri.run(['images', '-q', '--no-trunc', 'app'])).stdout.trim(), digest)
  t.regex(
    (await kauri.run(['images', '--digests', 'app'])).stdout,
    new RegExp(`DIGEST[^]*${digest}`),
  )
  const line = JSON.parse((await kauri.run(['images', '--format', 'json', 'app'])).stdout)
  t.is(line.Repository, 'app')
  const [described] = JSON.parse((await kauri.run(['images', '--json', 'app:1'])).stdout)
  t.like(described, { reference: 'docker.io/library/app:1', digest, sizeBytes: 2560 })
})

const filters: readonly [string, readonly string[], readonly string[]][] = [
  ['a name', ['app'], ['app']],
  ['a name and tag', ['app:2'], []],
  ['wildcards', ['*/team/*'], ['example.org/team/base']],
  ['a label', ['-f', 'label=team'], ['app']],
  ['a label’s value', ['-f', 'label=team=b'], []],
  ['a reference', ['-f', 'reference=example.org/*/*'], ['example.org/team/base']],
  ['dangling ones', ['-f', 'dangling=true'], ['<none>']],
  ['named ones', ['-f', 'dangling=false', '-f', 'label=team'], ['app']],
  ['one of two references', ['-f', 'reference=app', '-f', 'reference=x'], ['app']],
  ['older than another', ['-f', 'before=example.org/team/base:2'], ['app']],
  ['newer than another', ['-f', 'since=app:1', '-f', 'dangling=false'], ['example.org/team/base']],
  ['older than a date', ['-f', 'until=2001-09-10'], ['app']],
  [
    'older than an age',
    ['-f', 'until=24h', '-f', 'dangling=false'],
    ['example.org/team/base', 'app'],
  ],
  ['with a Go template', ['-a', '--format', '{"Repository":{{json .Repository}}}', 'app'], ['app']],
]
test('images are filtered', async t => {
  using kauri = kauriProgram()
  await importOf(kauri, 'app:1', '-c', 'LABEL team=a')
  const env = { SOURCE_DATE_EPOCH: '1200000000' }
  await kauri.run(['import', '-', 'example.org/team/base:2'], { input: tarWith('base'), env })
  await kauri.run(['import', '-'], { input: tarWith('nameless') })
  for (const [name, args, wanted] of filters) {
    const { stdout } = await kauri.run(['images', '--format=json', ...args])
    const names = stdout
      .split('\n')
      .filter(Boolean)
      .map(line => JSON.parse(line).Repository)
    t.deepEqual(names, wanted, name)
  }
  for (const wrong of ['size=1', 'until=soon', 'dangling=maybe'])
    t.is((await kauri.run(['images', '-f', wrong])).code, 2, wrong)
  t.is((await kauri.run(['images', '-f', 'before=nothing'])).code, 1)
})

test('tag gives a second name, and rmi takes names away until the image goes', async t => {
  using kauri = kauriProgram()
  const digest = await importOf(kauri, 'app:1')
  t.is((await kauri.run(['tag', 'app:1', 'app:2'])).code, 0)
  t.is((await kauri.run(['tag', digest.slice(7, 19), 'copy'])).code, 0)
  t.is((await kauri.run(['rmi', 'app:1'])).stdout, 'Untagged: app:1\n')
  const refused = await kauri.run(['rmi', digest])
  t.is(refused.code, 2)
  t.regex(refused.stderr, /has the names app:2, copy:latest/)
  const removed = await kauri.run(['rmi', '-f', digest])
  t.deepEqual(removed.stdout.split('\n').filter(Boolean).toSorted(), [
    `Deleted: ${digest}`,
    'Untagged: app:2',
    'Untagged: copy:latest',
  ])
  t.deepEqual(readdirSync(path.join(kauri.dataRoot, 'oci/blobs/sha256')), [])
})

test('rmi keeps what another image shares, and says what is not there', async t => {
  using kauri = kauriProgram()
  await kauri.run(['import', '-', 'one'], { input: tarWith('same') })
  await kauri.run(['import', '-c', 'USER x', '-', 'two'], { input: tarWith('same') })
  t.is((await kauri.run(['rmi', 'one'])).code, 0)
  const { code, stderr } = await kauri.run(['rmi', 'nothing', 'two'])
  t.is(code, 1)
  t.regex(stderr, /there is no image nothing/)
  t.is((await kauri.run(['images', '-q'])).stdout, '')
  t.is((await kauri.run(['rmi', '-f', 'nothing'])).code, 0)
})

testWith({ root: true })('rmi removes the unpacked tree', async t => {
  using kauri = kauriProgram()
  await importOf(kauri, 'app:1')
  const trees = (): string[] =>
    readdirSync(path.join(kauri.dataRoot, 'snapshots'))
      .filter(name => name === 'overlay' || name === 'copy')
      .flatMap(name => readdirSync(path.join(kauri.dataRoot, 'snapshots', name)))
      .filter(name => /^[0-9a-f]{64}$/.test(name))
  t.is(trees().length, 1)
  await kauri.run(['rmi', 'app:1'])
  t.deepEqual(trees(), [])
})

test('gc frees what rmi could not, after its time', async t => {
  using kauri = kauriProgram()
  const digest = await importOf(kauri, 'app:1')
  const index = path.join(kauri.dataRoot, 'oci/index.json')
  writeFileSync(index, '{"schemaVersion":2,"manifests":[]}')
  t.regex((await kauri.run(['gc'])).stdout, /^freed 0 blobs, 0B$/m)
  t.regex((await kauri.run(['gc', '--grace', '0', '--dry-run'])).stdout, /^would free 3 blobs/m)
  const result = JSON.parse(
    (await kauri.run(['gc', '--grace', '0s', '--cache-age', '0s', '--json'])).stdout,
  )
  t.like(result, { blobs: 3, dryRun: false })
  t.false(existsSync(path.join(kauri.dataRoot, 'oci/blobs/sha256', digest.slice(7))))
  t.is((await kauri.run(['gc', '--grace', 'soon'])).code, 2)
})

test('history and inspect tell what made an image', async t => {
  using kauri = kauriProgram()
  await importOf(kauri, 'app:1', '-m', 'made by hand')
  t.regex(
    (await kauri.run(['history', 'app:1'])).stdout,
    /^IMAGE +CREATED +CREATED BY +SIZE +COMMENT\n[0-9a-f]{12} +2\d years ago +2\.56kB +made by hand\n$/,
  )
  t.regex(
    (await kauri.run(['history', '--human=false', 'app:1'])).stdout,
    /^[0-9a-f]{12} +2001-09-09T01:46:40\.000Z +2560 +made by hand$/m,
  )
  t.regex((await kauri.run(['history', '-q', '--no-trunc', 'app:1'])).stdout, /^sha256:\w{64}\n$/)
  const line = await kauri.run(['inspect', '-f', '{{.Os}} {{len .RootFS.Layers}}', 'app:1'])
  t.is(line.stdout, 'linux 1\n')
  const found = await kauri.run(['inspect', 'app:1', 'nothing'])
  t.is(found.code, 1)
  t.is(JSON.parse(found.stdout).length, 1)
  t.regex(found.stderr, /no such (?:image|object): nothing/i)
})

testWith({ root: true })(
  'an image answers to its digest, whole or short, wherever one is named',
  async t => {
    using kauri = kauriProgram()
    using scratch = makeScratch()
    const digest = await importOf(kauri, 'app:1')
    const layer = scratch.at('layer.tar')
    writeFileSync(layer, tarWith('layer'))
    await kauri.run(['manifest', 'create', 'index', 'app:1'])
    const commands: readonly ((name: string) => readonly string[])[] = [
      name => ['inspect', name],
      name => ['history', name],
      name => ['tree', name],
      name => ['diff', name, name],
      name => ['verify', name],
      name => ['tag', name, 'other:1'],
      name => ['save', '-o', scratch.at('saved.tar'), name],
      name => ['save', '--format', 'oci-archive', '-o', scratch.at('saved.tar'), name],
      name => ['export', '--image', name, '-o', scratch.at('root.tar')],
      name => ['manifest', 'inspect', name],
      name => ['manifest', 'create', '--amend', 'second', name],
      name => ['manifest', 'annotate', 'index', name, '--annotation', 'a=b'],
      name => ['image', 'config', name, '-c', 'USER x'],
      name => ['image', 'append', name, layer],
      name => ['image', 'rebase', name, '--from', name, '--onto', name],
      name => ['image', 'squash', name],
      name => ['images', '-q', name],
      name => ['copy', name, `oci:${scratch.at('layout')}:x`],
    ]
    const forms = [digest, digest.slice(7), digest.slice(7, 19), `app@${digest}`, `app:1@${digest}`]
    for (const [at, command] of commands.entries()) {
      // Every form for one command, and one form for every command.
      for (const form of at === 0 ? forms : [forms[at % forms.length] ?? digest]) {
        const { code, stdout, stderr } = await kauri.run(command(form))
        t.is(code, 0, `${command(form).join(' ')}: ${stderr}`)
        if (command(form)[0] === 'images') t.is(stdout, `${digest.slice(7, 19)}\n`)
      }
    }
    t.is((await kauri.run(['rmi', '-f', digest.slice(7, 19)])).code, 0)
  },
)

test('save and load move images between stores, through files and pipes', async t => {
  using from = kauriProgram()
  using to = kauriProgram()
  using scratch = makeScratch()
  const digest = await importOf(from, 'app:1')
  for (const format of ['docker-archive', 'oci-archive', 'oci-dir']) {
    const file = scratch.at(format)
    t.is((await from.run(['save', '--format', format, '-o', file, 'app:1'])).code, 0, format)
    const loaded = await to.run(['load', '-i', file])
    t.is(loaded.stdout, 'Loaded image: app:1\n', loaded.stderr)
    t.is((await to.run(['images', '-q', '--no-trunc'])).stdout.trim(), digest)
    await to.run(['rmi', 'app:1'])
  }
  const piped = from.start(['save', 'app:1'])
  const archive = Buffer.concat(await Array.fromAsync(piped.stdout ?? []))
  t.is((await to.run(['load', '--quiet'], { input: archive })).stdout, 'Loaded image: app:1\n')
  t.is((await from.run(['save', '--format', 'oci-dir', 'app:1'])).code, 2)
  t.is((await from.run(['save', '-o', '/nonexistent/x', 'app:1'])).code, 2)
  const intoDirectory = await from.run(['save', '-o', import.meta.dirname, 'app:1'])
  t.is(intoDirectory.code, 2)
  t.regex(intoDirectory.stderr, /is a directory/)
  const { stderr, code } = await to.run(['load'], { input: tarWith('root') })
  t.is(code, 2)
  t.regex(stderr, /no image archive[^]*kauri import/)
})
