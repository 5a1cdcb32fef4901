import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { type ErrorCode, KauriError } from '../../src/core/errors.ts'
import type { PackageRepository } from '../../src/plan/plan.ts'
import { type AptBench, makeAptBench, repositoryOf, requestFor } from '../helpers/apt-bench.ts'
import { makeDebianRepository, type PackageRecipe } from '../helpers/debian-repository.ts'
import { serveFiles } from '../helpers/file-server.ts'
import { testWith } from '../helpers/needs.ts'

const asRoot = testWith({ root: true, programs: ['apt-get', 'dpkg-deb', 'gpg'] })
const hello: PackageRecipe = { name: 'hello', files: { 'usr/bin/hello': 'hello\n' } }

async function failure(work: Promise<unknown>): Promise<KauriError> {
  try {
    await work
  } catch (error) {
    if (error instanceof KauriError) return error
    throw error
  }
  throw new Error('it did not fail')
}

/** Every file below a directory that holds a text. */
function filesWith(directory: string, text: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8', withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => path.join(entry.parentPath, entry.name))
    .filter(file => readFileSync(file).includes(text))
}

asRoot('signatures are checked: another key, none at all, and none wanted', async t => {
  using bench = await makeAptBench()
  const repository = bench.repository('repo', [hello])
  repository.signWithAnotherKey()
  const wrong = await failure(bench.install(requestFor([repositoryOf(repository)], ['hello'])))
  t.is(wrong.code, 'SIGNATURE_INVALID')
  t.is(wrong.where?.line, 12)
  t.regex(wrong.message, /NO_PUBKEY/)
  repository.unsign()
  const unsigned = await failure(bench.install(requestFor([repositoryOf(repository)], ['hello'])))
  t.is(unsigned.code, 'SIGNATURE_INVALID')
  t.regex(unsigned.message, /not signed/)
  const unchecked = repositoryOf(repository, { checkSignatures: false, keys: [] })
  const installed = await bench.install(requestFor([unchecked], ['hello']))
  t.true(installed.has('usr/bin/hello'))
  t.regex(bench.said(), /signatures of file:\S+ stable are not checked/)
})

asRoot('a release file that was changed after signing is refused', async t => {
  using bench = await makeAptBench()
  const repository = bench.repository('repo', [hello])
  const release = path.join(repository.directory, 'dists/stable/InRelease')
  writeFileSync(release, readFileSync(release, 'utf8').replace('Origin: Tiny', 'Origin: Evil'))
  const error = await failure(bench.install(requestFor([repositoryOf(repository)], [])))
  t.is(error.code, 'SIGNATURE_INVALID')
})

asRoot(
  'an index that is not the signed one, and a package that is not the indexed one, are refused',
  async t => {
    using bench = await makeAptBench()
    const repository = bench.repository('repo', [hello])
    await using server = await serveFiles(repository.directory)
    const request = requestFor([repositoryOf({ ...repository, source: server.url })], ['hello'])
    const pool = path.join(repository.directory, 'pool')
    const deb = path.join(pool, readdirSync(pool).find(name => name.startsWith('hello')) ?? '')
    const content = readFileSync(deb)
    content[content.length - 2000] = (content[content.length - 2000] ?? 0) ^ 1
    writeFileSync(deb, content)
    t.is((await failure(bench.install(request))).code, 'CHECKSUM_MISMATCH')
    const local = requestFor([repositoryOf(repository)], ['hello'])
    t.is((await failure(bench.install(local))).code, 'CHECKSUM_MISMATCH')
    const [packages = ''] = filesWith(path.join(repository.directory, 'dists'), 'Package: hello')
    writeFileSync(packages, readFileSync(packages, 'utf8').replace('Version: 1.0', 'Version: 9.9'))
    rmSync(bench.scratch.at('cache'), { recursive: true })
    t.is((await failure(bench.install(request))).code, 'CHECKSUM_MISMATCH')
  },
)

asRoot('keys may be armoured or binary, files or addresses, and must be keys', async t => {
  using bench = await makeAptBench()
  const repository = bench.repository('repo', [hello])
  const armored = path.join(repository.directory, 'archive-key.asc')
  const binary = path.join(repository.directory, 'archive-key.gpg')
  writeFileSync(binary, execFileSync('gpg', ['--dearmor'], { input: readFileSync(armored) }))
  await using server = await serveFiles(repository.directory)
  for (const key of [binary, `file://${binary}`, `${server.url}/archive-key.asc`]) {
    const request = requestFor([repositoryOf(repository, { keys: [key] })], ['hello'])
    const { packages } = await bench.manager().resolve(request, undefined, bench.work())
    t.true(packages.some(({ name }) => name === 'hello'))
  }
  const refused: [string, ErrorCode][] = [
    [`${server.url}/dists/stable/Release`, 'REPOSITORY_INVALID'],
    [`${server.url}/nowhere.asc`, 'DOWNLOAD_FAILED'],
    ['file:///nowhere.asc', 'FILE_NOT_FOUND'],
    ['key.asc', 'REPOSITORY_INVALID'],
  ]
  for (const [key, code] of refused) {
    const request = requestFor([repositoryOf(repository, { keys: [key] })], [])
    const error = await failure(bench.manager().resolve(request, undefined, bench.work()))
    t.is(error.code, code)
    t.is(error.where?.line, 12)
  }
})

asRoot('what is not there is told with its address, its position and a hint', async t => {
  using bench = await makeAptBench()
  const repository = bench.repository('repo', [hello])
  await using server = await serveFiles(repository.directory)
  const cases: [Partial<PackageRepository>, ErrorCode, RegExp][] = [
    [
      { location: 'http://127.0.0.1:9/debian' },
      'REPOSITORY_UNREACHABLE',
      /127\.0\.0\.1:9\/debian.*Connection refused/,
    ],
    [
      { location: 'dir:///nowhere/at/all' },
      'REPOSITORY_UNREACHABLE',
      /file:\/nowhere\/at\/all has no distribution stable/,
    ],
    [
      { location: server.url, distribution: 'trixxie' },
      'REPOSITORY_UNREACHABLE',
      /has no distribution trixxie/,
    ],
    [{ components: ['nowhere'] }, 'REPOSITORY_INVALID', /component nowhere is not there/],
    [
      { location: server.url, distribution: 'pool/', components: [] },
      'REPOSITORY_UNREACHABLE',
      /is not a repository/,
    ],
  ]
  for (const [change, code, message] of cases) {
    const error = await failure(bench.install(requestFor([repositoryOf(repository, change)], [])))
    t.is(error.code, code, error.message)
    t.regex(error.message, message)
    t.is(error.where?.line, 12)
    t.truthy(error.hint)
  }
})

asRoot('unknown names are told before anything is installed', async t => {
  using bench = await makeAptBench()
  const repository = bench.repository('repo', [hello, { name: 'needy', depends: 'absent (>= 2)' }])
  const repositories = [repositoryOf(repository)]
  const manager = bench.manager()
  const unknown = requestFor(repositories, ['apt', 'helo'], { bootstrap: false })
  const early = await failure(
    manager.checkRequests([requestFor(repositories, ['hello']), unknown], bench.work()),
  )
  const late = await failure(
    manager.resolve(requestFor(repositories, ['apt', 'helo']), undefined, bench.work()),
  )
  for (const error of [early, late]) {
    t.is(error.code, 'PACKAGE_NOT_FOUND')
    t.is(error.message, 'there is no package helo in the repositories')
    t.is(error.hint, 'did you mean hello?')
    t.is(error.where?.line, 21)
  }
  const unmet = await failure(
    manager.resolve(requestFor(repositories, ['needy']), undefined, bench.work()),
  )
  t.is(unmet.code, 'PACKAGE_CONFLICT')
  t.regex(unmet.message, /needy : Depends: absent/)
  t.is(unmet.where?.line, 20)
  for (const name of ['-oDir=/', '?essential', 'hello-', 'hel*', 'a b', './x.deb', 'hello+=1']) {
    const error = await failure(
      manager.resolve(requestFor(repositories, [name]), undefined, bench.work()),
    )
    t.is(error.code, 'PACKAGE_NOT_FOUND', name)
  }
})

asRoot(
  'nothing changed: one conditional question, no lists, no packages, the same key',
  async t => {
    using bench = await makeAptBench()
    const repository = bench.repository('repo', [hello])
    await using server = await serveFiles(repository.directory)
    const request = requestFor([repositoryOf({ ...repository, source: server.url })], ['hello'])
    const first = await bench.install(request)
    server.requests.length = 0
    const manager = bench.manager()
    const again = await manager.resolve(request, undefined, bench.work())
    await manager.resolve(request, undefined, bench.work())
    t.is(again.key, first.resolution.key)
    t.deepEqual(server.requests, ['304 /dists/stable/InRelease'])
    repository.publish([{ ...hello, version: '2.0' }])
    // the server's times are whole seconds
    const later = Date.now() / 1000 + 60
    utimesSync(path.join(repository.directory, 'dists/stable/InRelease'), later, later)
    const changed = await bench.manager().resolve(request, undefined, bench.work())
    t.not(changed.key, first.resolution.key)
  },
)

asRoot('offline works from what was downloaded, and says what is missing', async t => {
  using bench = await makeAptBench()
  const repository = bench.repository('repo', [hello])
  const offline = bench.work({ offline: true })
  const request = requestFor([repositoryOf(repository)], ['hello'])
  const never = await failure(bench.install(request, { work: offline }))
  t.is(never.code, 'OFFLINE')
  await bench.install(requestFor([repositoryOf(repository)], []))
  const missing = await failure(bench.install(request, { work: offline }))
  t.is(missing.code, 'OFFLINE')
  t.regex(missing.message, /1 packages were never downloaded, the first is hello 1\.0/)
  await bench.install(request)
  for (const part of ['dists', 'pool'])
    rmSync(path.join(repository.directory, part), { recursive: true })
  const installed = await bench.install(request, { work: offline })
  t.true(installed.resolution.offline)
  t.true(installed.has('usr/bin/hello'))
})

asRoot('a damaged file of the cache is fetched again', async t => {
  using bench = await makeAptBench()
  const repository = bench.repository('repo', [hello])
  const request = requestFor([repositoryOf(repository)], ['hello'])
  await bench.install(request)
  const debs = bench.scratch.at('cache/apt/debs')
  const [cached = ''] = filesWith(debs, 'usr/bin/hello')
  writeFileSync(cached, readFileSync(cached).subarray(0, 500))
  const installed = await bench.install(request)
  t.true(installed.has('usr/bin/hello'))
})

asRoot('builds that run at once share the cache without harm', async t => {
  using bench = await makeAptBench()
  const repository = bench.repository('repo', [
    hello,
    { name: 'other', files: { 'usr/bin/other': '' } },
  ])
  await using server = await serveFiles(repository.directory)
  const repositories = [repositoryOf({ ...repository, source: server.url })]
  const installed = await Promise.all(
    [['hello'], ['other'], ['hello', 'other'], ['hello']].map(names =>
      bench.install(requestFor(repositories, names)),
    ),
  )
  t.deepEqual(
    installed.map(one => [one.has('usr/bin/hello'), one.has('usr/bin/other')]),
    [
      [true, false],
      [false, true],
      [true, true],
      [true, false],
    ],
  )
  t.deepEqual(readdirSync(bench.scratch.at('cache/apt/work')), [])
})

/** The host's configuration: a mirror that needs a password, a hook for everything, weakened checks. */
function hookedHost(
  bench: AptBench,
  mirror: string,
  key: string,
): Readonly<Record<string, string>> {
  const touch = (name: string): string => `"touch ${bench.scratch.at(name)}"`
  return bench.host({
    'sources.list.d/tiny.sources': `Types: deb\nURIs: ${mirror}/\nSuites: stable stable-updates\nComponents: main\nSigned-By: ${key}\n`,
    'sources.list': 'deb cdrom:[disk]/ stable main\n',
    'apt.conf.d/hooks': `APT::Update::Pre-Invoke { ${touch('hook-update')}; };
APT::Update::Post-Invoke { ${touch('hook-updated')}; };
APT::Update::Post-Invoke-Success { ${touch('hook-success')}; };
DPkg::Pre-Invoke { ${touch('hook-pre')}; };
DPkg::Post-Invoke { ${touch('hook-post')}; };
DPkg::Pre-Install-Pkgs { ${touch('hook-pkgs')}; };
Acquire::AllowInsecureRepositories "true";
APT::Get::AllowUnauthenticated "true";
APT::Install-Recommends "true";
`,
    'preferences.d/pin': 'Package: *\nPin: release *\nPin-Priority: -10\n',
  })
}

asRoot(
  "the host's repositories serve other distributions, without its hooks, with its passwords and nowhere else",
  async t => {
    using bench = await makeAptBench()
    const stable = bench.repository('repo', [hello])
    const repository = makeDebianRepository(bench.scratch.at('next'), [hello], { suite: 'next' })
    await using server = await serveFiles(repository.directory, { credentials: 'me:s3cr3t' })
    const mirror = server.url.replace('http://', 'http://me:s3cr3t@')
    const environment = hookedHost(bench, mirror, stable.key.replace('file://', ''))
    const osReleaseFile = bench.scratch.at('os-release')
    writeFileSync(osReleaseFile, 'ID=tiny\nVERSION_CODENAME=stable\n')
    const request = requestFor(
      [
        repositoryOf(repository, {
          location: 'obsrepositories:/',
          distribution: 'next',
          keys: [repository.key],
          inImage: 'also',
        }),
      ],
      ['hello'],
    )
    const installed = await bench.install(request, {
      manager: bench.manager({ environment, osReleaseFile }),
    })
    t.true(installed.has('usr/bin/hello'))
    t.deepEqual(
      readdirSync(bench.scratch.path).filter(name => name.startsWith('hook')),
      [],
    )
    t.regex(bench.said(), /has no next-updates with main; building without it/)
    const kept = installed.read('etc/apt/sources.list.d/tiny.sources')
    t.is(
      kept,
      `Types: deb\nURIs: ${server.url}/\nSuites: next\nComponents: main\nSigned-By: ${stable.key.replace('file://', '')} /etc/apt/keyrings/tiny.gpg\n`,
    )
    t.true(installed.has('etc/apt/keyrings/tiny.gpg'))
    for (const place of ['cache', 'snapshots', 'run'])
      if (existsSync(bench.scratch.at(place)))
        t.deepEqual(filesWith(bench.scratch.at(place), 's3cr3t'), [], place)
    t.false(bench.said().includes('s3cr3t'))
    t.false(JSON.stringify(installed.resolution).includes('s3cr3t'))
  },
)

asRoot('wrong passwords are told without telling them', async t => {
  using bench = await makeAptBench()
  const repository = bench.repository('repo', [hello])
  await using server = await serveFiles(repository.directory, { credentials: 'me:right' })
  const location = server.url.replace('http://', 'http://me:wr0ng@')
  const error = await failure(
    bench.install(requestFor([repositoryOf(repository, { location })], [])),
  )
  t.is(error.code, 'REPOSITORY_UNREACHABLE')
  t.regex(error.message, /401/)
  t.regex(error.hint ?? '', /username and password/)
  t.false(`${error.message}${error.hint}${String(error.cause)}`.includes('wr0ng'))
})

asRoot("the host's credentials and proxy are used for repositories of the request", async t => {
  using bench = await makeAptBench()
  const repository = bench.repository('repo', [hello])
  await using server = await serveFiles(repository.directory, { credentials: 'me:s3cr3t' })
  const { host } = new URL(server.url)
  const environment = bench.host({
    'auth.conf': `machine http://${host} login me password s3cr3t\n`,
    'apt.conf.d/proxy': `Acquire::http::Proxy "${server.url}";\n`,
  })
  const request = requestFor([repositoryOf(repository, { location: 'http://mirror.invalid/' })], [])
  const behind = await failure(bench.install(request, { manager: bench.manager({ environment }) }))
  t.is(behind.code, 'REPOSITORY_UNREACHABLE')
  t.true(
    server.requests.some(line => line.includes('http://mirror.invalid/dists/stable/InRelease')),
  )
  const direct = { ...environment, no_proxy: '127.0.0.1' }
  const own = requestFor([repositoryOf({ ...repository, source: server.url })], ['hello'])
  const { packages } = await bench
    .manager({ environment: direct })
    .resolve(own, undefined, bench.work())
  t.true(packages.length > 0)
})

asRoot('flat repositories, priorities, ignored and recommended packages', async t => {
  using bench = await makeAptBench()
  const repository = bench.repository('repo', [
    { name: 'wants', fields: { Recommends: 'hello, extra' } },
    hello,
    { name: 'extra' },
  ])
  const newer = bench.repository('newer', [{ ...hello, version: '2.0' }])
  const flat = bench.scratch.at('flat')
  mkdirSync(flat)
  for (const file of readdirSync(path.join(newer.directory, 'pool')))
    if (file.startsWith('hello'))
      execFileSync('cp', [path.join(newer.directory, 'pool', file), flat])
  writeFileSync(
    path.join(flat, 'Packages'),
    execFileSync('dpkg-scanpackages', ['.'], { cwd: flat, stdio: ['ignore', 'pipe', 'ignore'] }),
  )
  const base = repositoryOf(repository)
  const { distribution: _, ...plain } = base
  const addOn: PackageRepository = {
    ...plain,
    alias: 'flat',
    location: flat,
    components: [],
    keys: [],
    checkSignatures: false,
  }
  const versions = async (
    repositories: PackageRepository[],
    names: string[],
    change = {},
  ): Promise<string[]> => {
    const request = requestFor(repositories, names, change)
    const { packages } = await bench.manager().resolve(request, undefined, bench.work())
    return packages
      .filter(({ name }) => !['apt', 'dpkg'].includes(name))
      .map(({ name, version }) => `${name} ${version}`)
  }
  t.deepEqual(await versions([base, addOn], ['hello']), ['hello 2.0'])
  t.deepEqual(await versions([{ ...base, priority: 900 }, addOn], ['hello']), ['hello 1.0'])
  t.deepEqual(await versions([base, addOn], ['hello=1.0']), ['hello 1.0'])
  t.deepEqual(await versions([base], ['wants']), ['wants 1.0'])
  t.deepEqual(
    (await versions([base], ['wants'], { recommended: true })).toSorted((a, b) => (a < b ? -1 : 1)),
    ['extra 1.0', 'hello 1.0', 'wants 1.0'],
  )
  t.deepEqual(
    (await versions([base], ['wants'], { recommended: true, ignore: ['hello'] })).toSorted(
      (a, b) => (a < b ? -1 : 1),
    ),
    ['extra 1.0', 'wants 1.0'],
  )
})

asRoot('a cache that the sandbox user cannot reach works, too', async t => {
  using bench = await makeAptBench()
  const repository = bench.repository('repo', [hello])
  chmodSync(bench.scratch.path, 0o700)
  await using server = await serveFiles(repository.directory)
  const request = requestFor([repositoryOf({ ...repository, source: server.url })], ['hello'])
  const installed = await bench.install(request)
  t.true(installed.has('usr/bin/hello'))
})
