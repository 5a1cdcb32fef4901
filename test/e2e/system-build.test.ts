// `kauri system build` and `kauri plan` as a person uses them, over a repository made on the spot.

import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { useBuilds } from '../helpers/described-builds.ts'
import { testWith } from '../helpers/needs.ts'

const test = testWith({ root: true, programs: ['gpg', 'dpkg-deb'] })

const { repository, start } = useBuilds([
  { name: 'hello', depends: 'dpkg', files: { 'usr/share/hello/greeting': 'hello\n' } },
  { name: 'extra', depends: 'dpkg', files: { 'usr/share/extra': 'extra\n' } },
  {
    name: 'scripted',
    depends: 'dpkg',
    files: { 'usr/share/scripted': '' },
    scripts: { postinst: 'echo made > /etc/scripted; ls /sys/class/net > /etc/scripted-network' },
  },
])

const script = (text: string): string => `#!/bin/bash\nset -e\n${text}\n`

/** Names in the image's layers, and the text of one file of them. */
function imageFiles(archive: string): { names: string[]; read(name: string): string } {
  const manifest = execFileSync('tar', ['-xOf', archive, 'manifest.json'], { encoding: 'utf8' })
  const [{ Layers: layers }] = JSON.parse(manifest) as [{ Layers: string[] }]
  const tar = (layer: string, ...args: readonly string[]): string =>
    execFileSync('sh', ['-c', 'tar -xOf "$0" "$1" | tar "$2" -f - $3', archive, layer, ...args], {
      encoding: 'utf8',
    })
  const lists = layers.map(layer => [layer, tar(layer, '-t', '').trim().split('\n')] as const)
  return {
    names: lists.flatMap(([, names]) => names),
    read(name) {
      const [layer = ''] = lists.find(([, names]) => names.includes(name)) ?? []
      return tar(layer, '-xO', name)
    },
  }
}

const archiveOf = (directory: string, name = 'tiny'): string =>
  path.join(directory, `${name}.x86_64-1.2.3.docker.tar`)

test('a description becomes an image that runs, and prints nothing but its digest', async t => {
  using building = start()
  const { kauri } = building
  const result = await building.build(building.describe({ packages: ['hello'] }))
  t.is(result.code, 0, result.stderr)
  t.regex(result.stdout, /^sha256:[0-9a-f]{64}\n$/)
  const images = await kauri.run(['images', '--no-trunc'])
  t.true(images.stdout.includes(result.stdout.trim()))
  const run = await kauri.run(['run', '--rm', 'tiny:1', 'cat', '/usr/share/hello/greeting'])
  t.is(run.stdout, 'hello\n')
  t.deepEqual(readdirSync(building.target()).toSorted(), [
    'kiwi.result.json',
    'tiny.x86_64-1.2.3.changes',
    'tiny.x86_64-1.2.3.docker.tar',
    'tiny.x86_64-1.2.3.packages',
    'tiny.x86_64-1.2.3.verified',
  ])
  t.deepEqual(kauri.traces(), [])
})

test('the reports list every package, and files that are not as they were', async t => {
  using building = start()
  const description = building.describe({
    packages: ['hello'],
    files: { 'config.sh': script('echo other > /usr/share/hello/greeting') },
  })
  await building.built(description)
  const read = (kind: string): string =>
    readFileSync(path.join(building.target(), `tiny.x86_64-1.2.3.${kind}`), 'utf8')
  t.regex(read('packages'), /^apt\|None\|1\.0\|None\|\w+\|None\|None\ndpkg\|.*\nhello\|/)
  t.regex(read('verified'), /^..5.{6} {3}\/usr\/share\/hello\/greeting$/m)
})

test('only what follows a change runs again', async t => {
  using building = start()
  const files = { 'config.sh': script('echo 1'), 'images.sh': script('echo 2') }
  const description = building.describe({ packages: ['hello'], files })
  const first = await building.built(description)
  t.true(first.steps.every(step => !step.cached))
  const second = await building.built(description)
  t.true(second.steps.every(step => step.cached))
  t.is(second.digest, first.digest)
  writeFileSync(path.join(description, 'config.sh'), script('echo 1; touch /etc/changed'))
  const third = await building.built(description)
  t.deepEqual(
    third.steps.map(({ title, cached }) => [title, cached]),
    [
      ['bootstrap', true],
      ['packages', true],
      ['config.sh', false],
      ['images.sh', false],
    ],
  )
  t.not(third.digest, first.digest)
})

test('the same description gives the same image on another host name, in another place, later', async t => {
  using first = start()
  using second = start()
  const wish = {
    packages: ['hello', 'scripted'],
    files: {
      'root/etc/motd': 'hello\n',
      'config.sh': script('hostname > /etc/built-on; date +%s > /tmp/now; mkdir /var/made'),
    },
    more: '<users><user name="tux" password="$6$x$y" groups="users"/></users>',
  }
  const { digest } = await first.built(first.describe(wish))
  t.truthy(digest)
  const description = second.describe(wish)
  execFileSync('touch', ['-d', '2001-01-01', path.join(description, 'root/etc/motd')])
  const onAnotherHost = await second.kauri.run(
    ['system', 'build', '--description', description, '--target-dir', second.target()],
    { through: ['unshare', '--uts', 'sh', '-c', 'hostname elsewhere; exec "$@"', 'sh'] },
  )
  t.is(onAnotherHost.stdout, `${digest}\n`)
  const again = await second.built(description, '--no-cache')
  t.is(again.digest, digest)
  t.true(
    readFileSync(archiveOf(first.target())).equals(readFileSync(archiveOf(second.target()))),
    'the archives are equal, too',
  )
})

test('scripts see a clean environment, no network, and what KIWI shows them', async t => {
  using building = start()
  const description = building.describe({
    files: {
      'config.sh': script(
        'grep -q "127.0.0.1.localhost" /etc/hosts; hostname > /etc/name-seen; echo more >> /etc/hosts\n' +
          '. /.kconfig; . /.profile; env > /etc/seen; ls /sys/class/net > /etc/network\n' +
          'echo "$kiwi_iname" > /etc/name; ls /image > /etc/image; test -c /dev/null; test -d /proc/1',
      ),
    },
  })
  const result = await building.kauri.run(
    ['system', 'build', '--description', description, '--target-dir', building.target()],
    { env: { SECRET_OF_THE_CALLER: 'x', http_proxy: '' } },
  )
  t.is(result.code, 0, result.stderr)
  const files = imageFiles(archiveOf(building.target()))
  t.false(files.read('etc/seen').includes('SECRET_OF_THE_CALLER'))
  t.is(files.read('etc/network'), 'lo\n')
  t.is(files.read('etc/name'), 'tiny\n')
  t.true(files.read('etc/image').includes('config.sh'))
  t.is(files.read('etc/name-seen'), 'localhost\n')
  t.false(files.names.includes('etc/hosts'))
  const left = /^(?:image|\.kconfig|\.profile|\.dockerenv|run\/.|tmp\/.|dev\/.|proc\/.|sys\/.)/
  t.deepEqual(
    files.names.filter(name => left.test(name)),
    [],
  )
})

test('maintainer scripts have no network either', async t => {
  using building = start()
  await building.built(building.describe({ packages: ['scripted'] }))
  const files = imageFiles(archiveOf(building.target()))
  t.is(files.read('etc/scripted'), 'made\n')
  t.is(files.read('etc/scripted-network'), 'lo\n')
})

test('the network of the host is there when the caller says so', async t => {
  using building = start()
  const files = { 'config.sh': script('ls /sys/class/net > /etc/network') }
  await building.built(building.describe({ files }), '--network', 'host')
  const seen = imageFiles(archiveOf(building.target())).read('etc/network')
  t.is(seen, `${readdirSync('/sys/class/net').toSorted().join('\n')}\n`)
})

test('packages come and go as the command line says', async t => {
  using building = start()
  const description = building.describe({ packages: ['hello'] })
  await building.built(description, '--add-package', 'extra', '--delete-package', 'hello')
  const { names } = imageFiles(archiveOf(building.target()))
  t.true(names.includes('usr/share/extra'))
  t.false(names.includes('usr/share/hello/greeting'))
})

test('repositories, tags and labels of the command line take the place of those described', async t => {
  using building = start()
  const { source, key } = repository()
  const description = building.describe({
    repository:
      '<repository type="apt-deb" distribution="x" components="main"><source path="http://127.0.0.1:1/"/></repository>',
  })
  const tuple = `${source},apt-deb,tiny,,,,{${key}},main,stable`
  for (const options of [
    ['--set-repo', tuple],
    ['--ignore-repos', '--add-repo', tuple],
    ['--set-repo', `${source},apt-deb,tiny,,,,,main,stable`, '--signing-key', key],
  ]) {
    const report = await building.built(
      description,
      ...options,
      '--set-container-tag',
      'mine',
      '--add-container-label',
      'a=b=c',
    )
    t.deepEqual(report.names, ['tiny:mine'])
  }
  const inspected = await building.kauri.run(['inspect', 'tiny:mine'])
  t.true(inspected.stdout.includes('"a": "b=c"'), inspected.stdout)
})

for (const [what, options, message] of [
  ['no repository', ['--ignore-repos'], /no repository is left/],
  ['a repository of another type', ['--add-repo', 'http://x/,rpm-md'], /rpm-md/],
  ['too many fields', ['--add-repo', 'a,,,,,,,,,,,b'], /--add-repo/],
  ['a wrong truth', ['--add-repo', 'a,apt-deb,,,maybe'], /maybe/],
  ['a wrong epoch', ['--source-date-epoch', 'yesterday'], /yesterday/],
  ['a wrong compression', ['--compression', 'lzma'], /lzma/],
  ['a wrong level', ['--compression', 'gzip:11'], /gzip:11/],
  ['an unknown profile', ['--profile', 'nosuch'], /nosuch/],
  ['an unknown type', ['--type', 'oem'], /oem/],
] as const)
  test(`${what} is refused before anything is begun`, async t => {
    using building = start()
    const result = await building.build(building.describe(), ...options)
    t.true(result.code === 2 || /UNSUPPORTED|type|rpm-md/.test(result.stderr), result.stderr)
    t.not(result.code, 0)
    t.regex(result.stderr, message)
    t.false(existsSync(path.join(building.kauri.dataRoot, 'snapshots')))
  })

test('offline takes what was downloaded before, and says when that is not enough', async t => {
  using building = start()
  const description = building.describe({ packages: ['hello'] })
  const early = await building.build(description, '--offline')
  t.is(early.code, 1)
  t.regex(early.stderr, /offline/i)
  const { digest } = await building.built(description)
  const inRepository = (name: string): string => path.join(repository().directory, name)
  for (const name of ['dists', 'pool']) renameSync(inRepository(name), inRepository(`${name}-away`))
  try {
    t.is((await building.built(description, '--offline')).digest, digest)
    t.is((await building.built(description, '--offline', '--no-cache')).digest, digest)
  } finally {
    for (const name of ['dists', 'pool'])
      renameSync(inRepository(`${name}-away`), inRepository(name))
  }
})

test('every type leaves its file: OCI archives and root archives', async t => {
  using building = start()
  const types =
    '<type image="docker" primary="true"><containerconfig name="tiny" tag="1"/></type>' +
    '<type image="oci"><containerconfig name="tiny" tag="1"/></type><type image="tbz"/>'
  const description = building.describe({ types })
  const docker = await building.built(description)
  const oci = await building.built(
    description,
    '--type',
    'oci',
    '--target-dir',
    building.target('oci'),
  )
  t.is(oci.digest, docker.digest, 'the type is only a matter of the file')
  t.true(existsSync(path.join(building.target('oci'), 'tiny.x86_64-1.2.3.oci.tar')))
  const tbz = await building.build(
    description,
    '--type',
    'tbz',
    '--target-dir',
    building.target('tbz'),
  )
  const file = path.join(building.target('tbz'), 'tiny.x86_64-1.2.3.tar.xz')
  t.is(tbz.stdout, `${file}\n`)
  execFileSync('xz', ['-t', file])
  const imported = await building.kauri.run(['import', file, 'again:1'])
  t.is(imported.code, 0, imported.stderr)
  t.is((await building.kauri.run(['run', '--rm', 'again:1', 'true'])).code, 0)
})

test('the root is left in the target directory when that is asked for', async t => {
  using building = start()
  const description = building.describe({ packages: ['hello'] })
  await building.built(description, '--keep-root')
  const root = path.join(building.target(), 'build/image-root')
  t.is(readFileSync(path.join(root, 'usr/share/hello/greeting'), 'utf8'), 'hello\n')
  t.is(statSync(path.join(root, 'tmp')).mode & 0o7777, 0o1777)
  await building.built(description, '--keep-root')
  t.deepEqual(readdirSync(path.dirname(root)), ['image-root'])
})

test('two builds of the same description at once do the work once', async t => {
  using building = start()
  const files = { 'config.sh': script('sleep 0.5; echo done > /etc/done') }
  const description = building.describe({ packages: ['hello'], files })
  const reports = await Promise.all([
    building.built(description),
    building.built(description, '--target-dir', building.target('other')),
  ])
  t.is(reports[0].digest, reports[1].digest)
  const runs = reports.flatMap(({ steps }) => steps).filter(step => !step.cached)
  t.deepEqual(runs.map(({ title }) => title).toSorted(), ['bootstrap', 'config.sh', 'packages'])
})

test('a plan shows what a build would do, and what of it is there', async t => {
  using building = start()
  const { kauri } = building
  const files = { 'config.sh': script('true') }
  const description = building.describe({ packages: ['hello'], files })
  const before = await kauri.run(['plan', description])
  t.is(before.code, 0, before.stderr)
  t.regex(before.stdout, /^bootstrap +install +[0-9a-f]{12} +never run$/m)
  t.regex(before.stdout, /^config\.sh +run +- +known when/m)
  const { steps } = await building.built(description)
  const after = await kauri.run(['plan', '--json', description])
  const planned = JSON.parse(after.stdout) as { steps: { key: string; cached: boolean }[] }
  t.deepEqual(
    planned.steps.map(({ key, cached }) => [key, cached]),
    steps.map(({ key }) => [key, true]),
  )
  writeFileSync(path.join(description, 'config.sh'), script('false'))
  const changed = await kauri.run(['plan', description])
  t.regex(changed.stdout, /^config\.sh +run +[0-9a-f]{12} +what it reads changed$/m)
})
