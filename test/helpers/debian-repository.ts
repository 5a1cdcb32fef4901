// A Debian repository made on the spot: signed, with a handful of tiny packages that are enough to bootstrap a root in a
// second. The essential one is called dpkg and carries programs of this machine with the libraries they need.

import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'

/** A package to be built. */
export interface PackageRecipe {
  readonly name: string
  /** `1.0` where it is left out. */
  readonly version?: string
  readonly depends?: string
  readonly essential?: boolean
  /** More fields of the control file, such as Pre-Depends. */
  readonly fields?: Readonly<Record<string, string>>
  /** Files of the control archive that are no scripts, such as conffiles and triggers. */
  readonly controlFiles?: Readonly<Record<string, string>>
  /** `none` where it is left out. */
  readonly compression?: 'none' | 'xz' | 'gzip' | 'zstd'
  /** Contents by path without a leading slash. */
  readonly files?: Readonly<Record<string, string>>
  /** postinst and the like, as shell scripts. */
  readonly scripts?: Readonly<Record<string, string>>
  /** Fills the package's tree beyond `files`. */
  readonly fill?: (root: string) => void
}

export interface DebianRepository {
  /** As a description's <source path> takes it. */
  readonly source: string
  readonly directory: string
  /** `file:` URL of the key that signs it. */
  readonly key: string
  /** Adds packages, or newer versions of them, and signs again. */
  publish(recipes: readonly PackageRecipe[]): void
  /** Signs with another key than `key` from now on. */
  signWithAnotherKey(): void
  /** Takes the signatures away. */
  unsign(): void
}

export interface RepositoryOptions {
  /** `stable` where it is left out. */
  readonly suite?: string
  /** Recipes are all there is: no base package, no apt. */
  readonly isBare?: boolean
}

/** Everything in the packages is of this time: seconds since 1970. */
export const packageSeconds = 1_700_000_000

/** Makes a repository with the base package, `apt` and `recipes` in it. Its component is `main`. */
export function makeDebianRepository(
  directory: string,
  recipes: readonly PackageRecipe[] = [],
  { suite = 'stable', isBare = false }: RepositoryOptions = {},
): DebianRepository {
  const suiteDirectory = path.join(directory, 'dists', suite)
  mkdirSync(path.join(directory, 'pool'), { recursive: true })
  let signer = makeSigner(directory, 'archive-key')
  const key = path.join(directory, 'archive-key.asc')
  const stanzas = new Map<string, string>()
  const repository: DebianRepository = {
    source: `dir://${directory}`,
    directory,
    key: `file://${key}`,
    publish(more) {
      for (const recipe of more) {
        const version = recipe.version ?? '1.0'
        stanzas.set(`${recipe.name} ${version}`, buildPackage(directory, recipe))
      }
      writeIndexes(suiteDirectory, suite, [...stanzas.values()])
      signer.sign(suiteDirectory)
    },
    signWithAnotherKey() {
      signer = makeSigner(directory, 'another-key')
      signer.sign(suiteDirectory)
    },
    unsign() {
      for (const name of ['InRelease', 'Release.gpg']) rmSync(path.join(suiteDirectory, name))
    },
  }
  const apt: PackageRecipe = { name: 'apt', depends: 'dpkg', files: { 'usr/share/apt': '' } }
  repository.publish(isBare ? recipes : [baseRecipe, apt, ...recipes])
  return repository
}

/** Debian's name of this machine's architecture. */
export const architecture: string = process.arch === 'arm64' ? 'arm64' : 'amd64'

const basePrograms = [
  ...'bash cat chmod cp cut date diff dirname env find false grep hostname id ln ls mkdir mv rm sed'.split(
    ' ',
  ),
  ...'sleep sort stat sync tail tar touch tr true uname xz gzip'.split(' '),
  ...'dpkg dpkg-deb dpkg-query dpkg-split dpkg-divert dpkg-trigger update-alternatives'.split(' '),
  ...'start-stop-daemon ldconfig'.split(' '),
]

const baseFiles: Readonly<Record<string, string>> = {
  'etc/passwd': 'root:x:0:0:root:/root:/bin/bash\n',
  'etc/group': 'root:x:0:\nshadow:x:42:\nusers:x:100:\n',
  'etc/shadow': 'root:*:19000:0:99999:7:::\n',
  'etc/os-release': 'NAME=Tiny\nID=tiny\n',
  'etc/skel/.profile': 'umask 022\n',
  'usr/share/doc/dpkg/copyright': 'public domain\n',
}

const baseRecipe: PackageRecipe = {
  name: 'dpkg',
  essential: true,
  files: baseFiles,
  fill: root => {
    for (const name of ['dev', 'proc', 'sys', 'run', 'tmp', 'root', 'usr/sbin', 'var/lib/dpkg'])
      mkdirSync(path.join(root, name), { recursive: true })
    chmodSync(path.join(root, 'tmp'), 0o1777)
    mkdirSync(path.join(root, 'usr/lib64'), { recursive: true })
    for (const name of ['bin', 'sbin', 'lib', 'lib64'])
      symlinkSync(`usr/${name}`, path.join(root, name))
    copyPrograms(root)
    symlinkSync('bash', path.join(root, 'usr/bin/sh'))
  },
}

function copyPrograms(root: string): void {
  const libraries = new Set<string>()
  for (const name of basePrograms) {
    const program = ['/usr/bin', '/bin', '/usr/sbin', '/sbin']
      .map(directory => path.join(directory, name))
      .find(file => existsSync(file))
    if (program === undefined) throw new Error(`this machine has no ${name}`)
    const directory = ['start-stop-daemon', 'ldconfig'].includes(name) ? 'usr/sbin' : 'usr/bin'
    copyFileSync(realpathSync(program), path.join(root, directory, name))
    for (const library of librariesOf(program)) libraries.add(library)
  }
  for (const library of libraries) {
    const target = path.join(root, library.startsWith('/usr') ? library : `/usr${library}`)
    mkdirSync(path.dirname(target), { recursive: true })
    copyFileSync(realpathSync(library), target)
  }
}

function librariesOf(program: string): string[] {
  try {
    const text = execFileSync('ldd', [program], { encoding: 'utf8', stdio: 'pipe' })
    return [...text.matchAll(/(\/\S+\.so\S*)/g)].map(([, file]) => file ?? '')
  } catch {
    return []
  }
}

function controlOf({
  name,
  version = '1.0',
  depends,
  essential,
  fields = {},
}: PackageRecipe): string[] {
  const { Architecture = architecture, ...more } = fields
  return [
    `Package: ${name}`,
    `Version: ${version}`,
    `Architecture: ${Architecture}`,
    'Maintainer: Nobody <nobody@example.org>',
    ...(essential === true ? ['Essential: yes'] : []),
    ...(depends === undefined ? [] : [`Depends: ${depends}`]),
    ...Object.entries(more).map(([field, value]) => `${field}: ${value}`),
    'Description: a package of a test',
  ]
}

/** Builds the .deb; returns its paragraph of Packages. */
function buildPackage(directory: string, recipe: PackageRecipe): string {
  const { name, version = '1.0', essential, files = {}, scripts = {} } = recipe
  const { controlFiles = {}, compression = 'none' } = recipe
  const work = mkdtempSync(path.join(tmpdir(), 'kauri-deb-'))
  try {
    const root = path.join(work, 'root')
    mkdirSync(path.join(root, 'DEBIAN'), { recursive: true })
    for (const program of ['usr/bin', 'usr/lib'])
      if (essential === true) mkdirSync(path.join(root, program), { recursive: true })
    for (const [file, text] of Object.entries(files)) {
      mkdirSync(path.dirname(path.join(root, file)), { recursive: true })
      writeFileSync(path.join(root, file), text)
    }
    recipe.fill?.(root)
    const control = controlOf(recipe)
    writeFileSync(path.join(root, 'DEBIAN/control'), `${control.join('\n')}\n`)
    for (const [script, text] of Object.entries(scripts)) {
      writeFileSync(path.join(root, 'DEBIAN', script), `#!/bin/sh\nset -e\n${text}\n`)
      chmodSync(path.join(root, 'DEBIAN', script), 0o755)
    }
    for (const [file, text] of Object.entries(controlFiles))
      writeFileSync(path.join(root, 'DEBIAN', file), text)
    execFileSync('find', [root, '-exec', 'touch', '-hd', `@${packageSeconds}`, '{}', '+'])
    const file = path.join('pool', `${name}_${version}_${architecture}.deb`)
    const target = path.join(directory, file)
    execFileSync('dpkg-deb', ['--root-owner-group', `-Z${compression}`, '--build', root, target], {
      stdio: 'ignore',
      env: { ...process.env, SOURCE_DATE_EPOCH: String(packageSeconds) },
    })
    const content = readFileSync(target)
    return [
      ...control,
      `Filename: ${file}`,
      `Size: ${content.byteLength}`,
      `SHA256: ${createHash('sha256').update(content).digest('hex')}`,
    ].join('\n')
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

function writeIndexes(suite: string, suiteName: string, stanzas: readonly string[]): void {
  const index = `main/binary-${architecture}/Packages`
  const content = `${stanzas.join('\n\n')}\n`
  mkdirSync(path.dirname(path.join(suite, index)), { recursive: true })
  writeFileSync(path.join(suite, index), content)
  const sum = createHash('sha256').update(content).digest('hex')
  const release = [
    'Origin: Tiny',
    'Label: Tiny',
    `Suite: ${suiteName}`,
    `Codename: ${suiteName}`,
    'Date: Tue, 14 Nov 2023 22:13:20 UTC',
    `Architectures: ${architecture}`,
    'Components: main',
    'SHA256:',
    ` ${sum} ${Buffer.byteLength(content)} ${index}`,
  ]
  writeFileSync(path.join(suite, 'Release'), `${release.join('\n')}\n`)
}

interface Signer {
  /** Signs the Release of a suite, in place and beside it. */
  sign(suite: string): void
}

/** Makes a key; its public part is `<name>.asc` in the directory. */
function makeSigner(directory: string, name: string): Signer {
  const home = path.join(directory, `${name}-home`)
  mkdirSync(home, { mode: 0o700 })
  const gpg = (...args: readonly string[]): void => {
    execFileSync('gpg', ['--homedir', home, '--batch', '--yes', '--quiet', ...args], {
      stdio: 'ignore',
    })
  }
  gpg(
    '--passphrase',
    '',
    '--quick-generate-key',
    `${name} <${name}@example.org>`,
    'ed25519',
    'sign',
  )
  gpg('--armor', '--output', path.join(directory, `${name}.asc`), '--export')
  // The agent would stay behind as a process.
  const endAgent = (): void => {
    execFileSync('gpgconf', ['--homedir', home, '--kill', 'all'], { stdio: 'ignore' })
  }
  endAgent()
  return {
    sign(suite) {
      const release = path.join(suite, 'Release')
      gpg('--clearsign', '--output', path.join(suite, 'InRelease'), release)
      gpg('--armor', '--detach-sign', '--output', `${release}.gpg`, release)
      endAgent()
    },
  }
}
