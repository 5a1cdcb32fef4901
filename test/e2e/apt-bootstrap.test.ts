import { execFileSync } from 'node:child_process'
import {
  cpSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import test from 'ava'
import { KauriError } from '../../src/core/errors.ts'
import { type AptBench, makeAptBench, repositoryOf, requestFor } from '../helpers/apt-bench.ts'
import {
  architecture,
  type DebianRepository,
  type PackageRecipe,
  packageSeconds,
} from '../helpers/debian-repository.ts'
import { testWith } from '../helpers/needs.ts'

const asRoot = testWith({ root: true, programs: ['apt-get', 'dpkg-deb', 'gpg'] })

/** One of each thing that dpkg treats in a way of its own. */
const recipes: PackageRecipe[] = [
  {
    name: 'config',
    compression: 'xz',
    files: {
      'etc/config/main.conf': 'a=1\n',
      'etc/config/second': 'b\n',
      'usr/share/config/x': 'x',
    },
    controlFiles: { conffiles: '/etc/config/main.conf\n/etc/config/second\n' },
    scripts: { postinst: 'cp /etc/config/main.conf /etc/config/copy' },
  },
  {
    name: 'listener',
    compression: 'gzip',
    controlFiles: { triggers: 'interest-noawait /usr/share/plugins\ninterest refresh\n' },
    scripts: {
      postinst: 'mkdir -p /var/lib/listener; echo "$@" >> /var/lib/listener/calls',
    },
  },
  {
    name: 'plugin',
    compression: 'zstd',
    depends: 'listener',
    files: { 'usr/share/plugins/one': '1' },
    controlFiles: { triggers: 'activate-noawait refresh\n' },
  },
  {
    name: 'libshared',
    compression: 'xz',
    files: { [`usr/lib/${architecture}/libshared.so.1`]: 'elf' },
    fields: { 'Multi-Arch': 'same' },
    controlFiles: { shlibs: 'libshared 1 libshared\n', md5sums: '' },
  },
  {
    name: 'diverting',
    depends: 'config',
    compression: 'xz',
    fields: { 'Pre-Depends': 'listener' },
    files: { 'usr/bin/tool': 'mine\n' },
    scripts: {
      preinst: `test -f /var/lib/listener/calls
dpkg-divert --package diverting --add --rename --divert /usr/bin/tool.real /usr/bin/tool`,
    },
  },
  {
    name: 'tool',
    compression: 'xz',
    files: { 'usr/bin/tool': 'original\n', 'usr/share/man/man1/tool.1': 'man' },
  },
  {
    name: 'old',
    version: '1',
    compression: 'xz',
    files: { 'usr/share/old/kept': 'k', 'usr/share/old/moved': 'old' },
  },
  {
    name: 'new',
    compression: 'xz',
    fields: { Replaces: 'old (<< 2)' },
    files: { 'usr/share/old/moved': 'new' },
  },
  {
    name: 'links',
    compression: 'xz',
    files: { 'usr/share/links/file': 'linked' },
    fill: root => {
      execFileSync(
        'sh',
        [
          '-c',
          'ln file hard; ln -s file soft; ln -s /etc/passwd abs; mkdir -m 2750 set; mkfifo pipe; chmod 4755 file',
        ],
        {
          cwd: path.join(root, 'usr/share/links'),
        },
      )
    },
  },
]
const recipeNames = recipes.map(({ name }) => name)

asRoot('a bootstrapped root is what dpkg alone would have made', async t => {
  using bench = await makeAptBench()
  const repository = bench.repository('repo', recipes)
  const { tree, newestFileSeconds } = await bench.install(
    requestFor([repositoryOf(repository)], recipeNames),
  )
  const reference = dpkgReference(bench, repository)
  t.deepEqual(differences(describeTree(tree), describeTree(reference)), [])
  t.is(newestFileSeconds, packageSeconds)
  t.is(execFileSync('chroot', [tree, 'dpkg', '--audit'], { encoding: 'utf8' }), '')
  t.is(execFileSync('chroot', [tree, 'dpkg', '-V'], { encoding: 'utf8' }), '')
  t.is(readFileSync(path.join(tree, 'usr/bin/tool'), 'utf8'), 'mine\n')
  t.is(readFileSync(path.join(tree, 'usr/bin/tool.real'), 'utf8'), 'original\n')
  t.is(readFileSync(path.join(tree, 'usr/share/old/moved'), 'utf8'), 'new')
})

/** The same packages through dpkg only: the base unpacked by hand, as every bootstrap must, then installed over itself. */
function dpkgReference({ scratch }: AptBench, { directory }: DebianRepository): string {
  const root = scratch.at('reference')
  const pool = path.join(directory, 'pool')
  mkdirSync(path.join(root, 'debs'), { recursive: true })
  execFileSync('dpkg-deb', ['--extract', path.join(pool, `dpkg_1.0_${architecture}.deb`), root])
  cpSync(pool, path.join(root, 'debs'), { recursive: true })
  mkdirSync(path.join(root, 'var/lib/dpkg/info'), { recursive: true })
  mkdirSync(path.join(root, 'var/lib/dpkg/updates'), { recursive: true })
  writeFileSync(path.join(root, 'var/lib/dpkg/status'), '')
  const deb = (name: string, version = '1.0'): string =>
    `/debs/${name}_${version}_${architecture}.deb`
  const dpkg = (...args: string[]): void => {
    execFileSync('chroot', [root, 'dpkg', ...args], {
      stdio: 'ignore',
      env: { PATH: '/usr/sbin:/usr/bin', DEBIAN_FRONTEND: 'noninteractive' },
    })
  }
  dpkg('--install', deb('dpkg'))
  dpkg(
    '--install',
    ...['config', 'listener', 'plugin', 'libshared', 'tool', 'links'].map(name => deb(name)),
    deb('old', '1'),
  )
  dpkg('--install', deb('apt'), deb('diverting'), deb('new'))
  execFileSync('rm', ['-r', path.join(root, 'debs')])
  return root
}

function differences(actual: Record<string, string>, wanted: Record<string, string>): string[] {
  const names = new Set([...Object.keys(actual), ...Object.keys(wanted)])
  return [...names]
    .toSorted()
    .flatMap(name =>
      actual[name] === wanted[name]
        ? []
        : [`${name}: ${actual[name]?.slice(0, 600)} instead of ${wanted[name]?.slice(0, 600)}`],
    )
}

/** Type, mode, owner and content of everything but what runs leave behind. */
function describeTree(root: string): Record<string, string> {
  const ignored =
    /^\/(?:var\/lib\/apt\/extended_states|var\/lib\/apt|var\/lib\/dpkg\/(?:.*-old|lock.*|triggers\/(?:Lock|Unincorp)|parts|alternatives|available|cmethopt))$|^\/var\/log\/|^\/var\/log$|^\/etc\/ld\.so\.cache$|^\/var\/cache\/ldconfig/
  const found: Record<string, string> = {}
  for (const name of readdirSync(root, { recursive: true, encoding: 'utf8' }).toSorted()) {
    const place = `/${name}`
    if (ignored.test(place)) continue
    const file = path.join(root, name)
    const stat = lstatSync(file)
    const content = stat.isSymbolicLink()
      ? readlinkSync(file)
      : stat.isFile()
        ? readFileSync(file, 'latin1').slice(0, 100_000)
        : ''
    const links = stat.isFile() ? stat.nlink : 0
    found[place] = [
      stat.mode.toString(8),
      stat.uid,
      stat.gid,
      links,
      stat.isFile() ? stat.size : '',
      content,
    ].join(' ')
  }
  return found
}

asRoot('documentation is left out as dpkg leaves it out', async t => {
  using bench = await makeAptBench()
  const repository = bench.repository('repo', [
    {
      name: 'documented',
      files: {
        'usr/share/doc/documented/README': 'r',
        'usr/share/doc/documented/copyright': 'c',
        'usr/share/man/man1/documented.1': 'm',
        'usr/bin/documented': 'd',
      },
    },
  ])
  const installed = await bench.install(
    requestFor([repositoryOf(repository)], ['documented'], { excludeDocs: true }),
  )
  t.true(installed.has('usr/bin/documented'))
  t.true(installed.has('usr/share/doc/documented/copyright'))
  t.false(installed.has('usr/share/doc/documented/README'))
  t.false(installed.has('usr/share/man/man1'))
  t.true(
    installed
      .read('var/lib/dpkg/info/documented.list')
      .includes('/usr/share/doc/documented/README'),
  )
})

asRoot('maintainer scripts see a clean environment, no network and no services', async t => {
  using bench = await makeAptBench()
  process.env['KAURI_TEST_SECRET'] = 'leaked'
  const repository = bench.repository('repo', [
    {
      name: 'curious',
      scripts: {
        postinst: `env > /var/curious.env
ls /sys/class/net > /var/curious.net
set +e
policy-rc.d curious start; echo "policy $?" > /var/curious.rc
/usr/sbin/policy-rc.d curious start; echo "policy $?" >> /var/curious.rc
start-stop-daemon --start --exec /usr/bin/touch -- /var/started
/usr/sbin/start-stop-daemon --start --exec /usr/bin/touch -- /var/started
initctl start curious; echo "initctl $?" >> /var/curious.rc
ischroot; echo "ischroot $?" >> /var/curious.rc
test -t 0 || echo "not a tty" >> /var/curious.rc
exit 0`,
      },
    },
  ])
  const installed = await bench.install(requestFor([repositoryOf(repository)], ['curious']))
  const environment = installed
    .read('var/curious.env')
    .split('\n')
    .map(line => line.split('=')[0])
  const expected = [
    'DEBCONF_NONINTERACTIVE_SEEN',
    'DEBIAN_FRONTEND',
    'HOME',
    'LANGUAGE',
    'LC_ALL',
    'PATH',
    'SOURCE_DATE_EPOCH',
    'TERM',
  ]
  t.deepEqual(
    environment
      .filter(name => name !== '' && !/^(?:DPKG_|PWD$|SHLVL$|_$|OLDPWD$)/.test(name ?? ''))
      .toSorted((a, b) => ((a ?? '') < (b ?? '') ? -1 : 1)),
    expected,
  )
  t.true(installed.read('var/curious.env').includes(`SOURCE_DATE_EPOCH=${packageSeconds}\n`))
  t.is(installed.read('var/curious.net'), 'lo\n')
  t.is(
    installed.read('var/curious.rc'),
    'policy 101\npolicy 101\ninitctl 0\nischroot 0\nnot a tty\n',
  )
  t.false(installed.has('var/started'))
  for (const left of ['usr/sbin/policy-rc.d', 'run/.kauri', 'usr/sbin/initctl', 'usr/bin/ischroot'])
    t.false(installed.has(left), left)
  t.true(lstatSync(path.join(installed.tree, 'usr/sbin/start-stop-daemon')).size > 1000)
})

asRoot('a script that fails is told with its package, its place and its output', async t => {
  using bench = await makeAptBench()
  const repository = bench.repository('repo', [
    { name: 'fine' },
    { name: 'broken', scripts: { postinst: 'echo "the reason is here"; exit 7' } },
  ])
  const error = await t.throwsAsync(
    bench.install(requestFor([repositoryOf(repository)], ['fine', 'broken'])),
    { instanceOf: KauriError },
  )
  t.is(error?.code, 'PACKAGE_INSTALL_FAILED')
  t.is(error?.where?.line, 21)
  t.regex(error?.message ?? '', /package broken cannot be installed/)
  t.regex(error?.message ?? '', /the reason is here/)
  t.regex(error?.message ?? '', /exit status 7/)
})

asRoot('a preinst that fails stops the bootstrap', async t => {
  using bench = await makeAptBench()
  const repository = bench.repository('repo', [
    { name: 'early', essential: true, scripts: { preinst: 'echo "not today"; exit 4' } },
  ])
  const error = await t.throwsAsync(bench.install(requestFor([repositoryOf(repository)], [])), {
    instanceOf: KauriError,
  })
  t.is(error?.code, 'PACKAGE_INSTALL_FAILED')
  t.regex(error?.message ?? '', /preinst of package early failed with exit code 4:\nnot today/)
})

asRoot("a preinst sees what dpkg's preinst sees", async t => {
  using bench = await makeAptBench()
  const report = (file: string): string =>
    `echo "$0 $*" > ${file}; ls -A "$(dirname "$0")" | grep -v '^probe' >> ${file}; env | grep ^DPKG_ | sort >> ${file}`
  const probe = (essential: boolean): PackageRecipe => ({
    name: essential ? 'probe-early' : 'probe-later',
    essential,
    scripts: { preinst: report(`/var/${essential ? 'early' : 'later'}`) },
    controlFiles: { templates: 'Template: x\n' },
  })
  const repository = bench.repository('repo', [probe(true), probe(false)])
  const installed = await bench.install(requestFor([repositoryOf(repository)], ['probe-later']))
  const version = execFileSync('dpkg-query', ['-W', '-f', '${Version}', 'dpkg'], {
    encoding: 'utf8',
  })
  const plain = (text: string): string =>
    text
      .replaceAll(/probe-(?:early|later)/g, 'probe')
      // kauri knows the version of the package, which is the tests' own; the program says its real one
      .replace('DPKG_RUNNING_VERSION=1.0\n', `DPKG_RUNNING_VERSION=${version}\n`)
      .replaceAll(/^DPKG_FORCE=.*\n/gm, '')
  t.is(plain(installed.read('var/early')), plain(installed.read('var/later')))
})

test('the recipes are all installed by the comparison', t => {
  t.is(new Set(recipeNames).size, recipes.length)
})
