import { execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { KauriError } from '../../src/core/errors.ts'
import { sweepRuntime } from '../../src/runtime/sweep-runtime.ts'
import { machine, makeAptBench, repositoryOf, requestFor } from '../helpers/apt-bench.ts'
import { type PackageRecipe, packageSeconds } from '../helpers/debian-repository.ts'
import { eventually } from '../helpers/eventually.ts'
import { testWith } from '../helpers/needs.ts'

const asRoot = testWith({ root: true, programs: ['apt-get', 'dpkg-deb', 'gpg'] })

const recipes: PackageRecipe[] = [
  { name: 'lib', compression: 'xz', files: { 'usr/lib/lib': 'l' } },
  {
    name: 'server',
    compression: 'xz',
    depends: 'lib, helper',
    files: { 'usr/bin/server': 's', 'etc/server.conf': 'shipped\n' },
    controlFiles: { conffiles: '/etc/server.conf\n' },
    scripts: {
      prerm: 'echo prerm >> /var/removals',
      postrm: 'echo postrm >> /var/removals',
    },
  },
  { name: 'helper', depends: 'lib' },
  { name: 'rival', fields: { Conflicts: 'server' }, files: { 'usr/bin/rival': 'r' } },
]

function marks(text: string): string[] {
  return [...text.matchAll(/^Package: (\S+)$/gm)].map(([, name]) => name ?? '')
}

asRoot(
  'packages are added to a root, upgraded, and replaced by what conflicts with them',
  async t => {
    using bench = await makeAptBench()
    const repository = bench.repository('repo', recipes)
    const repositories = [repositoryOf(repository)]
    const base = await bench.install(requestFor(repositories, ['lib']))
    t.deepEqual(marks(base.existing('var/lib/apt/extended_states')), [])
    const request = requestFor(repositories, ['server'], { bootstrap: false })
    const served = await bench.install(request, { parent: base.id })
    t.deepEqual(
      served.resolution.packages.map(({ name, requested }) => `${name} ${requested}`).toSorted(),
      ['helper false', 'server true'],
    )
    t.is(served.newestFileSeconds, packageSeconds)
    t.deepEqual(marks(served.read('var/lib/apt/extended_states')), ['helper'])
    t.is(served.read('etc/server.conf'), 'shipped\n')
    t.is(execFileSync('chroot', [served.tree, 'dpkg', '--audit'], { encoding: 'utf8' }), '')
    t.false(served.has('run/.kauri'))

    repository.publish([
      {
        ...recipes[1],
        name: 'server',
        version: '2.0',
        files: { 'usr/bin/server': 's2', 'etc/server.conf': 'newer\n' },
      },
    ])
    const upgraded = await bench.install(request, {
      parent: served.id,
      manager: bench.manager(),
    })
    t.is(upgraded.read('usr/bin/server'), 's2')
    t.is(upgraded.read('etc/server.conf'), 'newer\n')
    const downgraded = await bench.install(
      requestFor(repositories, ['server=1.0', 'helper'], { bootstrap: false }),
      { parent: upgraded.id },
    )
    t.is(downgraded.read('usr/bin/server'), 's')
    t.deepEqual(marks(downgraded.read('var/lib/apt/extended_states')), [], 'asked for by name now')

    const rival = await bench.install(requestFor(repositories, ['rival'], { bootstrap: false }), {
      parent: served.id,
    })
    t.true(rival.has('usr/bin/rival'))
    t.false(rival.has('usr/bin/server'))
    t.is(rival.read('var/removals'), 'prerm\npostrm\n')
    t.not(rival.resolution.key, served.resolution.key)
  },
)

asRoot('nothing to do is done without running anything', async t => {
  using bench = await makeAptBench()
  const repositories = [repositoryOf(bench.repository('repo', recipes))]
  const base = await bench.install(requestFor(repositories, ['lib']))
  const again = await bench.install(requestFor(repositories, ['lib'], { bootstrap: false }), {
    parent: base.id,
  })
  t.deepEqual(again.resolution.packages, [])
  t.is(again.newestFileSeconds, 0)
  t.deepEqual(treeDigest(again.tree), treeDigest(base.tree))
})

asRoot('uninstall takes what nobody needs any more, delete takes just the package', async t => {
  using bench = await makeAptBench()
  const repositories = [repositoryOf(bench.repository('repo', recipes))]
  const base = await bench.install(requestFor(repositories, ['server']))
  const nothing = requestFor(repositories, ['apt'], { bootstrap: false })
  const names = (tree: string): string[] => {
    const status = readFileSync(path.join(tree, 'var/lib/dpkg/status'), 'utf8')
    return [...status.matchAll(/^Package: (\S+)\n(?:.*\n)*?Status: install ok installed/gm)].map(
      ([, name]) => name ?? '',
    )
  }
  const uninstalled = await bench.install(nothing, {
    parent: base.id,
    after: (root, manager) =>
      manager.remove(
        { mode: 'uninstall', packages: [{ name: 'server' }, { name: 'never-there' }] },
        root,
        bench.work(),
      ),
  })
  t.deepEqual(names(uninstalled.tree), ['apt', 'dpkg'])
  t.is(uninstalled.read('var/removals'), 'prerm\npostrm\n')
  t.true(uninstalled.has('etc/server.conf'), 'configuration stays, as with apt-get remove')
  t.deepEqual(marks(uninstalled.read('var/lib/apt/extended_states')), [])
  t.regex(bench.said(), /package never-there is not installed, so it is not removed/)

  const deleted = await bench.install(nothing, {
    parent: base.id,
    after: (root, manager) =>
      manager.remove(
        { mode: 'delete', packages: [{ name: 'lib' }, { name: 'apt' }] },
        root,
        bench.work(),
      ),
  })
  t.deepEqual(names(deleted.tree), ['dpkg', 'helper', 'server'])
  t.false(deleted.has('usr/lib/lib'))
  t.true(deleted.has('usr/bin/server'))

  const gone = await t.throwsAsync(
    bench.install(nothing, {
      parent: base.id,
      after: (root, manager) =>
        manager.remove({ mode: 'delete', packages: [{ name: 'x' }] }, root, bench.work()),
    }),
    { instanceOf: KauriError },
  )
  t.is(gone?.code, 'PACKAGE_NOT_FOUND')
  const essential = await t.throwsAsync(
    bench.install(nothing, {
      parent: base.id,
      after: (root, manager) =>
        manager.remove({ mode: 'uninstall', packages: [{ name: 'dpkg' }] }, root, bench.work()),
    }),
    { instanceOf: KauriError },
  )
  t.is(essential?.code, 'PACKAGE_CONFLICT')
  t.regex(essential?.hint ?? '', /type="delete"/)
})

asRoot('the inventory lists what is there', async t => {
  using bench = await makeAptBench()
  const repositories = [repositoryOf(bench.repository('repo', recipes))]
  const { tree } = await bench.install(requestFor(repositories, ['helper']))
  const inventory = await bench.manager().inventory(tree)
  t.deepEqual(
    inventory.map(({ name, version, status }) => [name, version, status]),
    ['apt', 'dpkg', 'helper', 'lib'].map(name => [name, '1.0', 'install ok installed']),
  )
  mkdirSync(bench.scratch.at('empty'))
  t.deepEqual(await bench.manager().inventory(bench.scratch.at('empty')), [])
})

asRoot('packages cannot be added to a root without dpkg', async t => {
  using bench = await makeAptBench()
  const repositories = [repositoryOf(bench.repository('repo', recipes))]
  await using root = await bench.snapshotter.prepare(undefined)
  const request = requestFor(repositories, ['lib'], { bootstrap: false })
  const error = await t.throwsAsync(bench.manager().resolve(request, root, bench.work()), {
    instanceOf: KauriError,
  })
  t.is(error?.code, 'UNSUPPORTED')
})

asRoot('a repository that is only for the image is not installed from, but configured', async t => {
  using bench = await makeAptBench()
  const repository = bench.repository('repo', recipes)
  const kept = repositoryOf(repository, {
    alias: 'My tools!',
    location: 'https://me:s3cr3t@tools.example.org/debian',
    distribution: 'trixie',
    inImage: 'only',
  })
  const installed = await bench.install(requestFor([repositoryOf(repository), kept], ['lib']))
  t.is(
    installed.read('etc/apt/sources.list.d/My-tools-.sources'),
    'Types: deb\nURIs: https://tools.example.org/debian\nSuites: trixie\nComponents: main\nSigned-By: /etc/apt/keyrings/My-tools-.gpg\n',
  )
  t.is(lstatSync(path.join(installed.tree, 'etc/apt/keyrings/My-tools-.gpg')).mode & 0o7777, 0o644)
  t.deepEqual(readdirSync(path.join(installed.tree, 'etc/apt/sources.list.d')), [
    'My-tools-.sources',
  ])
})

asRoot('two builds in two places give equal trees', async t => {
  const build = async (): Promise<Record<string, string>> => {
    using bench = await makeAptBench()
    const repository = bench.repository('repo', [
      ...recipes,
      {
        name: 'messy',
        scripts: {
          postinst: `mkdir -p /var/log/apt /var/cache/apt/archives /var/lib/apt/lists/partial /var/cache/ldconfig /var/cache/debconf
date > /var/log/dpkg.log; date > /var/log/alternatives.log; date > /var/log/apt/term.log
date > /var/cache/ldconfig/aux-cache; date > /var/cache/debconf/config.dat-old; date > /var/cache/apt/pkgcache.bin
date > /var/lib/apt/lists/x_Packages; date > /var/cache/apt/archives/x.deb
cat /proc/sys/kernel/random/uuid > /etc/machine-id`,
        },
      },
    ])
    const { tree } = await bench.install(
      requestFor([repositoryOf(repository)], ['server', 'messy']),
    )
    t.is(readFileSync(path.join(tree, 'etc/machine-id'), 'utf8'), '')
    for (const left of [
      'var/log/dpkg.log',
      'var/lib/apt/lists/x_Packages',
      'var/cache/apt/archives/x.deb',
    ])
      t.false(existsSync(path.join(tree, left)), left)
    t.true(existsSync(path.join(tree, 'var/lib/apt/lists/partial')))
    return treeDigest(tree)
  }
  const first = await build()
  await sleep(1100)
  t.deepEqual(await build(), first)
})

asRoot(
  "a build that is killed leaves no process, the host's own apt untouched, and a cache that works",
  async t => {
    using bench = await makeAptBench()
    const repository = bench.repository('repo', [
      { name: 'slow', scripts: { postinst: 'sleep 86399 & sleep 86399' } },
      ...recipes,
    ])
    const before = hostState()
    const script = bench.scratch.at('build.ts')
    writeFileSync(script, killedBuild(bench.scratch.path, repository.source, repository.key))
    for (const afterMs of [150, 400, 800, 1500]) {
      const child = spawn(process.execPath, ['--no-warnings', script], { stdio: 'ignore' })
      await sleep(afterMs)
      child.kill('SIGKILL')
      await once(child, 'close')
    }
    const isOurs = (words: string): boolean =>
      words.includes(bench.scratch.path) || words.includes('sleep 86399')
    const processes = (): string => execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' })
    await eventually(() => !isOurs(processes()))
    await sweepRuntime(bench.scratch.at('run'))
    t.deepEqual(hostState(), before)
    t.false(isOurs(processes()), processes())
    t.false(readFileSync('/proc/self/mounts', 'utf8').includes(bench.scratch.path))
    const installed = await bench.install(requestFor([repositoryOf(repository)], ['server']))
    t.true(installed.has('usr/bin/server'))
    t.deepEqual(readdirSync(bench.scratch.at('cache/apt/work')), [])
  },
)

asRoot('cancelling stops at once with the reason', async t => {
  using bench = await makeAptBench()
  const repository = bench.repository('repo', [
    { name: 'slow', scripts: { postinst: 'sleep 86398' } },
  ])
  const cancel = new AbortController()
  const started = performance.now()
  const stop = setTimeout(() => cancel.abort(), 2500)
  const error = await t.throwsAsync(
    bench.install(requestFor([repositoryOf(repository)], ['slow']), {
      work: bench.work({ signal: cancel.signal }),
    }),
  )
  clearTimeout(stop)
  t.true(
    error instanceof KauriError ? error.code === 'CANCELLED' : error?.name === 'AbortError',
    String(error),
  )
  t.true(performance.now() - started < 30_000)
})

function killedBuild(directory: string, location: string, key: string): string {
  const source = path.join(import.meta.dirname, '../../src')
  const request = requestFor([repositoryOf({ source: location, key })], ['slow', 'server'])
  return `import { openSnapshotter } from '${source}/rootfs/open-snapshotter.ts'
import { aptPackageManager } from '${source}/rootfs/package-managers/apt.ts'
import { createBuiltinRuntime } from '${source}/runtime/builtin-runtime.ts'
const directory = ${JSON.stringify(directory)}
const runtime = createBuiltinRuntime({ runRoot: directory + '/run', cacheRoot: directory + '/cache' })
const manager = aptPackageManager({ cacheDirectory: directory + '/cache/apt', runtime })
const snapshotter = await openSnapshotter({ root: directory + '/snapshots', choice: 'copy' })
const work = { emit() {}, stepId: 'x', offline: false }
const request = ${JSON.stringify({ ...request, machine })}
const root = await snapshotter.prepare(undefined)
await manager.install(request, await manager.resolve(request, undefined, work), root, work)
`
}

/** What must not change on this machine: names, sizes and times of what its own package manager keeps. */
function hostState(): string[] {
  return ['/var/lib/dpkg', '/var/lib/apt', '/var/cache/apt', '/etc/apt'].flatMap(directory =>
    existsSync(directory)
      ? readdirSync(directory, { recursive: true, encoding: 'utf8' }).map(name => {
          const { size, mtimeMs } = lstatSync(path.join(directory, name))
          return `${directory}/${name} ${size} ${mtimeMs}`
        })
      : [],
  )
}

/** Everything that a layer of the tree would hold; times after the packages' own are clamped, as layers have them. */
function treeDigest(root: string): Record<string, string> {
  const digest: Record<string, string> = {}
  for (const name of readdirSync(root, { recursive: true, encoding: 'utf8' })) {
    const file = path.join(root, name)
    const stat = lstatSync(file)
    const content = stat.isFile()
      ? createHash('sha256').update(readFileSync(file)).digest('hex')
      : stat.isSymbolicLink()
        ? readlinkSync(file)
        : ''
    const seconds = Math.min(Math.floor(stat.mtimeMs / 1000), packageSeconds)
    digest[name] =
      `${stat.mode} ${stat.uid} ${stat.gid} ${stat.size * Number(stat.isFile())} ${seconds} ${content}`
  }
  return digest
}
