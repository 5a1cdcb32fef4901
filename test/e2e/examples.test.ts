// What the README of each example and of descriptions/debian-web says to type, in one state directory, so that they
// share the bootstrap that they have in common.

import { execFileSync, spawnSync } from 'node:child_process'
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { type KauriProgram, kauriProgram } from '../helpers/kauri-program.ts'
import { testWith } from '../helpers/needs.ts'
import { makeSmallRoot } from '../helpers/small-root.ts'

const root = path.join(import.meta.dirname, '../..')
const scratch = mkdtempSync(path.join(tmpdir(), 'kauri-examples-'))
let program: KauriProgram | undefined
test.after.always(() => {
  program?.[Symbol.dispose]()
  rmSync(scratch, { recursive: true, force: true })
})

async function kauri(t: ExecutionContext, ...words: readonly string[]): Promise<string> {
  program ??= kauriProgram()
  const { code, stdout, stderr } = await program.run(words)
  t.is(code, 0, `kauri ${words.join(' ')}\n${stderr}`)
  return stdout
}

function buildWords(description: string, target: string): readonly string[] {
  return [
    'system',
    'build',
    '--description',
    description,
    '--target-dir',
    path.join(scratch, target),
  ]
}

async function build(
  t: ExecutionContext,
  directory: string,
  ...words: readonly string[]
): Promise<void> {
  t.timeout(300_000)
  const digest = await kauri(t, ...buildWords(path.resolve(root, directory), 'out'), ...words)
  t.regex(digest, /^sha256:[0-9a-f]{64}\n$/)
}

const example = testWith({ root: true, programs: ['apt-get', 'dpkg-deb'] })

example('examples/hello says hello', async t => {
  await build(t, 'examples/hello')
  t.is(
    await kauri(t, 'run', '--rm', 'hello'),
    'Hello, world, from Debian GNU/Linux 12 (bookworm)\n',
  )
  t.is(
    await kauri(t, 'run', '--rm', 'hello', 'kauri'),
    'Hello, kauri, from Debian GNU/Linux 12 (bookworm)\n',
  )
})

example('examples/profiles makes two images', async t => {
  await build(t, 'examples/profiles')
  await build(t, 'examples/profiles', '--profile', 'german')
  t.is(await kauri(t, 'run', '--rm', 'greeting:english'), 'Good morning\nprofiles: english,base\n')
  t.is(await kauri(t, 'run', '--rm', 'greeting:german'), 'Guten Morgen\nprofiles: german,base\n')
})

testWith({ root: true, programs: ['apt-get', 'dpkg-deb', 'apt-ftparchive', 'gpg'] })(
  'examples/own-packages installs from a signed repository beside it, and not without its key',
  async t => {
    const directory = path.join(scratch, 'own-packages')
    cpSync(path.join(root, 'examples/own-packages'), directory, { recursive: true })
    execFileSync(path.join(directory, 'make-repository'), { stdio: 'pipe' })
    await build(t, directory, '--signing-key', path.join(directory, 'own.asc'))
    t.is(await kauri(t, 'run', '--rm', 'own-packages'), 'I came from a repository of your own\n')
    const refused = await program?.run(buildWords(directory, 'refused'))
    t.is(refused?.code, 1)
    t.regex(refused?.stderr ?? '', /config\.xml:\d+:\d+: .*signatures/)
  },
)

example('descriptions/debian-web serves its site, slim without apt, debug with curl', async t => {
  const serve = ['run', '--rm', '--network', 'none', 'debian-web', 'bash', '-c']
  const ask = 'exec 3<>/dev/tcp/127.0.0.1/80; printf "GET / HTTP/1.0\\r\\n\\r\\n" >&3; cat <&3'
  await build(t, 'descriptions/debian-web')
  t.regex(await kauri(t, ...serve, `nginx; ${ask}`), /200 OK[^]*<h1>It works<\/h1>/)
  t.is(
    await kauri(t, ...serve, 'stat -c %U:%a /srv/www/robots.txt; id -un 1000'),
    'editor:644\neditor\n',
  )
  t.is(
    await kauri(t, ...serve, 'command -v apt-get envsubst curl; test -e /.profile || echo clean'),
    'clean\n',
  )
  await build(t, 'descriptions/debian-web', '--profile', 'debug')
  t.regex(await kauri(t, ...serve, 'nginx; requests'), /200 OK[^]*<h1>It works<\/h1>/)
})

example('examples/fortune stands on an image that build made of a description', async t => {
  t.timeout(300_000)
  await kauri(t, 'build', path.join(root, 'descriptions/debian-bookworm'))
  await kauri(t, 'build', '-t', 'fortune', path.join(root, 'examples/fortune'))
  const known = readFileSync(path.join(root, 'examples/fortune/fortunes/trees'), 'utf8')
  const told = await kauri(t, 'run', '--rm', 'fortune')
  t.true(known.split('\n').includes(told.trimEnd()), told)
})

testWith({ root: true })(
  'examples/site renders what changed, checks it, and keeps its licence to itself',
  async t => {
    const directory = path.join(scratch, 'site')
    cpSync(path.join(root, 'examples/site'), directory, { recursive: true })
    makeSmallRoot(path.join(scratch, 'root'))
    const tar = path.join(scratch, 'root.tar')
    execFileSync('tar', ['-C', path.join(scratch, 'root'), '-cf', tar, '.'])
    await kauri(t, 'import', tar, 'small', '-c', 'ENV PATH=/usr/bin')
    const licence = path.join(scratch, 'licence')
    writeFileSync(licence, 'only-for-the-renderer')
    const words = ['build', '-t', 'site', '--build-arg', 'BASE=small', directory]
    const refused = await program?.run(words)
    t.regex(refused?.stderr ?? '', /licence/)
    t.is(refused?.code, 2)
    const licensed = [...words, '--secret', `id=licence,src=${licence}`]
    const first = await program?.run(licensed)
    t.is(first?.code, 0, first?.stderr)
    t.regex(first?.stderr ?? '', /rendered about[^]*rendered index/)
    t.regex(await kauri(t, 'run', '--rm', 'site'), /A site of two pages/)
    t.is(await kauri(t, 'run', '--rm', 'site', 'cat', '/srv/pages'), 'about.html\nindex.html\n')
    appendFileSync(path.join(directory, 'pages/about.txt'), 'More.\n')
    const second = await program?.run(licensed)
    t.regex(second?.stderr ?? '', /rendered about[^]*kept index/)
    const kept = spawnSync('grep', ['-rl', 'only-for-the-renderer', program?.dataRoot ?? scratch])
    t.is(kept.stdout.toString(), '')
  },
)

test('every example has a README that builds it', t => {
  for (const name of readdirSync(path.join(root, 'examples'))) {
    const text = readFileSync(path.join(root, 'examples', name, 'README.md'), 'utf8')
    const words = existsSync(path.join(root, 'examples', name, 'Dockerfile'))
      ? new RegExp(`kauri build .*examples/${name}\\n`)
      : new RegExp(`--description examples/${name} `)
    t.regex(text, words, name)
  }
})
