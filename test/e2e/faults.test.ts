// What goes wrong, and what is left then: one clear message, the exit code of the contract, nothing half done, and a next
// command that works.

import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ExecutionContext } from 'ava'
import { makeDebianRepository } from '../helpers/debian-repository.ts'
import {
  type Building,
  repositoryXml,
  storeFaults,
  useBuilds,
} from '../helpers/described-builds.ts'
import { eventually } from '../helpers/eventually.ts'
import type { ProgramResult } from '../helpers/kauri-program.ts'
import { testWith } from '../helpers/needs.ts'
import { makeScratch } from '../helpers/scratch.ts'

const test = testWith({ root: true, programs: ['gpg', 'dpkg-deb'] })

const { repository, start } = useBuilds([
  { name: 'hello', depends: 'dpkg', files: { 'usr/share/hello': 'hello\n' } },
  {
    name: 'slow',
    depends: 'dpkg',
    files: { 'usr/share/slow': '' },
    scripts: { postinst: 'echo slow-has-begun; sleep 45.4321' },
  },
  { name: 'broken', depends: 'dpkg', scripts: { postinst: 'echo oh dear; exit 7' } },
  {
    name: 'large',
    depends: 'dpkg',
    // Nothing makes it smaller, so that layers and archives need their space, too.
    fill: root => writeFileSync(path.join(root, 'large'), randomBytes(30_000_000)),
  },
])

const script = (text: string): string => `#!/bin/bash\nset -e\n${text}\n`

/** One message, after the lines of progress. */
function messageOf({ stderr }: ProgramResult): string {
  return stderr.slice(stderr.indexOf('kauri: '))
}

/** Everything that a failed build may not leave. */
function checkNothingLeft(t: ExecutionContext, building: Building): void {
  t.deepEqual(building.kauri.traces(), [])
  t.deepEqual(storeFaults(building.kauri.dataRoot), [])
  if (existsSync(building.target()))
    t.deepEqual(
      readdirSync(building.target()).filter(name => name.startsWith('.kauri')),
      [],
    )
}

async function checkNextBuildWorks(t: ExecutionContext, building: Building): Promise<void> {
  const report = await building.built(building.describe({ packages: ['hello'] }))
  t.truthy(report.digest)
  checkNothingLeft(t, building)
  const run = await building.kauri.run(['run', '--rm', 'tiny:1', 'cat', '/usr/share/hello'])
  t.is(run.stdout, 'hello\n', run.stderr)
}

/** The machine's own packages: whatever happens, builds do not touch them. */
function hostPackages(): string {
  const status = statSync('/var/lib/dpkg/status', { bigint: true })
  return [status.ino, status.mtimeNs, ...readdirSync('/var/lib/dpkg').toSorted()].join(' ')
}

interface FaultCase {
  readonly what: string
  readonly describe: (building: Building) => string
  readonly options?: readonly string[]
  readonly code: number
  readonly message: RegExp
}

const closedPort = 'http://127.0.0.1:1/debian'

const cases: readonly FaultCase[] = [
  {
    what: 'a missing description',
    describe: building => building.target('nosuch'),
    code: 2,
    message: /nosuch/,
  },
  {
    what: 'a directory without a description',
    describe: building => {
      mkdirSync(building.target('empty'))
      return building.target('empty')
    },
    code: 2,
    message: /empty[^]*config\.xml/,
  },
  {
    what: 'broken XML',
    describe: building => {
      const description = building.describe()
      appendFileSync(path.join(description, 'config.xml'), '<image>')
      return description
    },
    code: 2,
    message: /config\.xml:\d+:\d+: /,
  },
  {
    what: 'a misspelt element',
    describe: building => building.describe({ more: '<packges type="image"/>' }),
    code: 2,
    message: /config\.xml:\d+:\d+: .*packges[^]*packages/,
  },
  {
    what: 'an unknown package',
    describe: building => building.describe({ packages: ['helo'] }),
    code: 1,
    message: /config\.xml:\d+:\d+: .*helo[^]*hello/,
  },
  {
    what: 'a repository that is down',
    describe: building =>
      building.describe({ repository: repositoryXml({ ...repository(), source: closedPort }) }),
    code: 1,
    message: /127\.0\.0\.1:1[^]*hint: /,
  },
  {
    what: 'a repository without that distribution',
    describe: building =>
      building.describe({ repository: repositoryXml(repository()).replace('"stable"', '"other"') }),
    code: 1,
    message: /config\.xml:\d+:\d+: .*other/,
  },
  {
    what: 'a script that exits with 3',
    describe: building =>
      building.describe({ files: { 'config.sh': script('echo before; exit 3; echo after') } }),
    code: 1,
    message: /config\.sh:1:1: config\.sh failed with exit code 3[^]*before[^]*hint: /,
  },
  {
    what: 'a script that is killed',
    describe: building =>
      building.describe({ files: { 'config.sh': script("bash -c 'kill -9 $$'") } }),
    code: 1,
    message: /config\.sh ended by signal 9/,
  },
  {
    what: 'a script that wants the network',
    describe: building =>
      building.describe({
        files: { 'config.sh': script('echo "Could not resolve host: example.org"; exit 6') },
      }),
    code: 1,
    message: /exit code 6[^]*hint: .*--network host/,
  },
  {
    what: 'a script whose interpreter is not there',
    describe: building => building.describe({ files: { 'config.sh': '#!/usr/bin/python3\n' } }),
    code: 127,
    message: /config\.sh|python3/,
  },
  {
    what: 'a maintainer script that fails',
    describe: building => building.describe({ packages: ['broken'] }),
    code: 1,
    message: /broken[^]*oh dear/,
  },
  {
    what: 'a user whose id is taken',
    describe: building =>
      building.describe({ more: '<users><user name="tux" password="$6$x$y" id="0"/></users>' }),
    code: 2,
    message: /config\.xml:\d+:\d+: .*id 0.*tux/,
  },
  {
    what: 'an archive that is none',
    describe: building =>
      building.describe({
        more: '<packages type="image"><archive name="a.tar"/></packages>',
        files: { 'a.tar': 'no archive' },
      }),
    code: 2,
    message: /a\.tar/,
  },
]

for (const { what, describe, options = [], code, message } of cases)
  test(`${what} is one clear message`, async t => {
    using building = start()
    const before = hostPackages()
    const result = await building.build(describe(building), ...options)
    t.is(result.code, code, result.stderr)
    t.regex(messageOf(result), message)
    t.is(result.stderr.match(/^kauri: /gm)?.length, 1, result.stderr)
    t.is(result.stdout, '')
    t.notRegex(result.stderr, /unexpected error|at async|node:internal/)
    checkNothingLeft(t, building)
    t.is(hostPackages(), before)
    await checkNextBuildWorks(t, building)
  })

test('a repository signed by somebody else is refused', async t => {
  using building = start()
  using scratch = makeScratch()
  const other = makeDebianRepository(scratch.at('other'))
  other.signWithAnotherKey()
  const description = building.describe({ repository: repositoryXml(other) })
  const result = await building.build(description)
  t.is(result.code, 1)
  t.regex(messageOf(result), /config\.xml:\d+:\d+: .*sign[^]*hint: /i)
  checkNothingLeft(t, building)
  await checkNextBuildWorks(t, building)
})

test('a package that is not what the signed index says is refused', async t => {
  using building = start()
  using scratch = makeScratch()
  const other = makeDebianRepository(scratch.at('other'))
  for (const name of readdirSync(scratch.at('other', 'pool')))
    if (name.startsWith('apt')) appendFileSync(scratch.at('other', 'pool', name), 'more')
  const result = await building.build(building.describe({ repository: repositoryXml(other) }))
  t.is(result.code, 1)
  t.regex(messageOf(result), /apt/)
  checkNothingLeft(t, building)
  await checkNextBuildWorks(t, building)
})

test('a repository that answers nothing can be left with Ctrl-C', async t => {
  using building = start()
  const server = createServer(() => {}).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : 0
  const source = `http://127.0.0.1:${port}/debian`
  const xml = repositoryXml({ ...repository(), source })
  const child = building.kauri.start([
    'system',
    'build',
    '--description',
    building.describe({ repository: xml }),
    '--target-dir',
    building.target(),
  ])
  await once(server, 'connection')
  const closed = once(child, 'close')
  child.kill('SIGINT')
  const [code] = (await closed) as [number]
  server.close()
  t.is(code, 130)
  checkNothingLeft(t, building)
})

test('without root rights nothing is begun', async t => {
  using building = start()
  chmodSync(building.directory, 0o755)
  const description = building.describe()
  // The capability lets nobody reach a checkout below directories that are root's alone.
  const reach = ['--inh-caps=+dac_read_search', '--ambient-caps=+dac_read_search']
  const nobody = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups', ...reach]
  const result = await building.kauri.run(
    ['system', 'build', '--description', description, '--target-dir', '/tmp/nothing-is-made'],
    { through: nobody },
  )
  t.is(result.code, 1, result.stderr)
  t.regex(messageOf(result), /root[^]*hint: .*sudo/)
  t.false(existsSync('/tmp/nothing-is-made'))
})

/** Runs kauri with its state on a file system of that size. */
const withDisk = (megabytes: number, directory: string): string[] => [
  'unshare',
  '--mount',
  'sh',
  '-c',
  `mkdir -p "${directory}" && mount -t tmpfs -o size=${megabytes}m,mode=711 tmpfs "${directory}" && ` +
    '{ "$@"; code=$?; }; find "$KAURI_DATA_ROOT" -name ".kauri-tmp-*" >&2; ' +
    'ls "$KAURI_DATA_ROOT/oci/blobs/sha256" >&2 2>/dev/null; exit $code',
  'sh',
]

// Too small for the lists, the packages, the root, the second installation, the layer.
for (const megabytes of [1, 8, 20, 32, 60, 75, 100, 115])
  test(`a disk of ${megabytes} MB that is full is told as that`, async t => {
    using building = start()
    const description = building.describe({ packages: ['large'] })
    const result = await building.kauri.run(
      ['system', 'build', '--description', description, '--target-dir', building.target()],
      { through: withDisk(megabytes, building.kauri.dataRoot) },
    )
    t.is(result.code, 1, result.stderr)
    t.regex(messageOf(result), /no space left[^]*hint: free space/i)
    t.notRegex(result.stderr, /\.kauri-tmp-|^[0-9a-f]{64}$/m, 'nothing half written is visible')
    t.is(result.stdout, '')
    t.deepEqual(building.kauri.traces(), [])
    await checkNextBuildWorks(t, building)
  })

test('a target directory that is full is told, and the files of the build before stay', async t => {
  using building = start()
  const description = building.describe({ packages: ['hello'] })
  const large = building.describe({ packages: ['large'] })
  await building.built(description)
  await building.built(large, '--target-dir', building.target('elsewhere'))
  const disk = building.target('disk')
  const result = await building.kauri.run(
    ['system', 'build', '--description', large, '--target-dir', disk],
    { through: withDisk(10, disk) },
  )
  t.is(result.code, 1, result.stderr)
  t.regex(messageOf(result), /no space left/)
  await checkNextBuildWorks(t, building)
})

interface Moment {
  readonly what: string
  readonly wish: Parameters<Building['describe']>[0]
  /** The output that tells that it has begun. */
  readonly begun: RegExp
}

const moments: readonly Moment[] = [
  {
    what: 'the bootstrap',
    wish: { bootstrap: ['dpkg', 'slow'] },
    begun: /slow-has-begun/,
  },
  {
    what: 'an installation',
    wish: { packages: ['slow'] },
    begun: /slow-has-begun/,
  },
  {
    what: 'a script',
    wish: { files: { 'config.sh': script('echo script-has-begun; sleep 45.4321') } },
    begun: /script-has-begun/,
  },
  {
    what: 'packing',
    wish: { packages: ['large'] },
    begun: /^pack image …$/m,
  },
]

const endings = { SIGTERM: 143, SIGINT: 130, SIGKILL: null } as const

function sleepers(): string[] {
  return readdirSync('/proc').filter(pid => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('45.4321')
    } catch {
      return false
    }
  })
}

for (const { what, wish, begun } of moments)
  for (const [signal, code] of Object.entries(endings))
    test(`${signal} during ${what} leaves nothing behind`, async t => {
      using building = start()
      const before = hostPackages()
      const child = building.kauri.start([
        'system',
        'build',
        '--description',
        building.describe(wish),
        '--target-dir',
        building.target(),
      ])
      let stderr = ''
      for await (const chunk of child.stderr ?? []) {
        stderr += String(chunk)
        if (begun.test(stderr)) break
      }
      t.regex(stderr, begun)
      const closed = once(child, 'close')
      child.stderr?.resume()
      child.stdout?.resume()
      child.kill(signal as keyof typeof endings)
      const [ended] = (await closed) as [number | null]
      t.is(ended, code)
      // After kill -9 the kernel needs a moment to take the descendants down.
      await eventually(() => sleepers().length === 0)
      t.deepEqual(sleepers(), [])
      t.deepEqual(storeFaults(building.kauri.dataRoot), [])
      if (signal !== 'SIGKILL') checkNothingLeft(t, building)
      t.is(hostPackages(), before)
      await checkNextBuildWorks(t, building)
      if (signal === 'SIGKILL') {
        const active = path.join(building.kauri.dataRoot, 'snapshots/overlay/.active')
        t.deepEqual(existsSync(active) ? readdirSync(active) : [], [], 'swept by the next command')
      }
    })

test('kill -9 at any moment leaves a store that is whole, and the next build works', async t => {
  using building = start()
  const description = building.describe({
    packages: ['hello', 'large'],
    files: { 'config.sh': script('echo x > /etc/x') },
  })
  for (const afterMs of [60, 150, 250, 350, 450, 600, 800, 1000]) {
    const child = building.kauri.start([
      'system',
      'build',
      '--no-cache',
      '--description',
      description,
      '--target-dir',
      building.target(),
    ])
    child.stderr?.resume()
    child.stdout?.resume()
    const closed = once(child, 'close')
    await sleep(afterMs)
    child.kill('SIGKILL')
    await closed
    t.deepEqual(storeFaults(building.kauri.dataRoot), [], `after ${afterMs} ms`)
  }
  await checkNextBuildWorks(t, building)
  t.truthy((await building.built(description)).digest)
})

test('an image that is imported while kauri is killed is there whole or not at all', async t => {
  using building = start()
  await building.built(building.describe({ packages: ['large'] }), '--keep-root')
  const root = path.join(building.target(), 'build/image-root')
  const tar = building.target('root.tar')
  execFileSync('tar', ['-C', root, '-cf', tar, '.'])
  for (const afterMs of [50, 120, 200, 300]) {
    const child = building.kauri.start(['import', tar, 'killed:1'])
    child.stderr?.resume()
    const closed = once(child, 'close')
    await sleep(afterMs)
    child.kill('SIGKILL')
    await closed
    t.deepEqual(storeFaults(building.kauri.dataRoot), [])
  }
  const result = await building.kauri.run(['import', tar, 'killed:1'])
  t.is(result.code, 0, result.stderr)
  t.is((await building.kauri.run(['run', '--rm', 'killed:1', 'true'])).code, 0)
  checkNothingLeft(t, building)
})

test('a broken record of the cache is as good as none', async t => {
  using building = start()
  const description = building.describe({ packages: ['hello'] })
  const { digest } = await building.built(description)
  const cache = path.join(building.kauri.dataRoot, 'cache')
  for (const kind of ['layers', 'results', 'steps'])
    for (const name of existsSync(path.join(cache, kind))
      ? readdirSync(path.join(cache, kind))
      : [])
      writeFileSync(path.join(cache, kind, name), '\0broken')
  t.is((await building.built(description)).digest, digest)
})
