// Builds from descriptions over a repository made on the spot, for end-to-end tests: one repository for a test file, one
// state directory for each test.

import { createHash } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import process from 'node:process'
import test from 'ava'
import {
  type DebianRepository,
  makeDebianRepository,
  type PackageRecipe,
} from './debian-repository.ts'
import { type KauriProgram, kauriProgram, type ProgramResult } from './kauri-program.ts'

/** What a description says beyond its frame. */
export interface DescriptionWish {
  readonly name?: string
  readonly bootstrap?: readonly string[]
  readonly packages?: readonly string[]
  /** More XML inside of <image>. */
  readonly more?: string
  /** XML of <type> elements, in place of the docker one. */
  readonly types?: string
  /** In place of the repository that the test file made. */
  readonly repository?: string
  /** Files by name beside config.xml; those with a `#!` are made executable. */
  readonly files?: Readonly<Record<string, string>>
}

export interface Building extends Disposable {
  readonly kauri: KauriProgram
  readonly directory: string
  /** Writes a description; its directory. */
  describe(wish?: DescriptionWish): string
  target(name?: string): string
  /** `kauri system build` into `target()`. */
  build(description: string, ...options: readonly string[]): Promise<ProgramResult>
  /** The same with --json; it must end well. */
  built(description: string, ...options: readonly string[]): Promise<BuildReport>
}

/** What `system build --json` prints. */
export interface BuildReport {
  readonly image: string | null
  readonly digest: string | null
  readonly names: readonly string[]
  readonly files: readonly { readonly kind: string; readonly path: string }[]
  readonly steps: readonly {
    readonly title: string
    readonly key: string
    readonly cached: boolean
    readonly seconds: number
  }[]
}

export interface Builds {
  /** Only while tests run. */
  readonly repository: () => DebianRepository
  readonly start: () => Building
}

/** Call it once at the top of a test file. */
export function useBuilds(recipes: readonly PackageRecipe[] = []): Builds {
  const directory = mkdtempSync(path.join(tmpdir(), 'kauri-repository-'))
  let repository: DebianRepository | undefined
  test.before(() => {
    if (process.getuid?.() === 0) repository = makeDebianRepository(directory, recipes)
  })
  test.after.always(() => rmSync(directory, { recursive: true, force: true }))
  const get = (): DebianRepository => {
    if (repository === undefined) throw new Error('the repository is made before the first test')
    return repository
  }
  return { repository: get, start: () => startBuilding(get()) }
}

function startBuilding(repository: DebianRepository): Building {
  const kauri = kauriProgram()
  const directory = path.dirname(kauri.dataRoot)
  const target = (name = 'target'): string => path.join(directory, name)
  let descriptions = 0
  const building: Building = {
    kauri,
    directory,
    target,
    describe(wish = {}) {
      const description = path.join(directory, `description-${++descriptions}`)
      writeDescription(description, wish, repository)
      return description
    },
    build: (description, ...options) =>
      kauri.run(
        ['system', 'build', '--description', description].concat(
          options.includes('--target-dir') ? [] : ['--target-dir', target()],
          options,
        ),
      ),
    async built(description, ...options) {
      const { code, stdout, stderr } = await building.build(description, '--json', ...options)
      if (code !== 0) throw new Error(`exit code ${code}: ${stderr}`)
      return JSON.parse(stdout) as BuildReport
    },
    [Symbol.dispose]: () => kauri[Symbol.dispose](),
  }
  return building
}

/** A repository as a description has it. */
export function repositoryXml({ source, key }: Pick<DebianRepository, 'source' | 'key'>): string {
  return `<repository type="apt-deb" alias="tiny" distribution="stable" components="main">
    <source path="${source}"><signing key="${key}"/></source>
  </repository>`
}

function writeDescription(
  directory: string,
  wish: DescriptionWish,
  repository: DebianRepository,
): void {
  const { name = 'tiny', bootstrap = ['dpkg'], packages = [], files = {} } = wish
  const list = (names: readonly string[]): string =>
    names.map(one => `<package name="${one}"/>`).join('')
  const types =
    wish.types ?? `<type image="docker"><containerconfig name="${name}" tag="1"/></type>`
  const xml = `<?xml version="1.0" encoding="utf-8"?>
<image schemaversion="7.5" name="${name}">
  <description type="system">
    <author>Nobody</author><contact>nobody@example.org</contact><specification>a test</specification>
  </description>
  <preferences><version>1.2.3</version><packagemanager>apt</packagemanager>${types}</preferences>
  ${wish.repository ?? repositoryXml(repository)}
  <packages type="bootstrap">${list(bootstrap)}</packages>
  ${packages.length === 0 ? '' : `<packages type="image">${list(packages)}</packages>`}
  ${wish.more ?? ''}
</image>
`
  for (const [file, text] of Object.entries({ 'config.xml': xml, ...files })) {
    const target = path.join(directory, file)
    mkdirSync(path.dirname(target), { recursive: true })
    writeFileSync(target, text)
    if (text.startsWith('#!')) chmodSync(target, 0o755)
  }
}

/** What is wrong with a store: blobs that are not what their name says, names whose blobs are missing, leftovers. */
export function storeFaults(dataRoot: string): string[] {
  const root = path.join(dataRoot, 'oci')
  if (!existsSync(path.join(root, 'index.json'))) return []
  const blobs = path.join(root, 'blobs/sha256')
  const names = existsSync(blobs) ? readdirSync(blobs) : []
  const faults = names.filter(
    name =>
      createHash('sha256')
        .update(readFileSync(path.join(blobs, name)))
        .digest('hex') !== name,
  )
  const need = (digest: string): string => {
    const hex = digest.replace('sha256:', '')
    if (!names.includes(hex)) faults.push(`missing ${digest}`)
    return path.join(blobs, hex)
  }
  const index = JSON.parse(readFileSync(path.join(root, 'index.json'), 'utf8')) as {
    manifests: { digest: string }[]
  }
  for (const { digest } of index.manifests) {
    const file = need(digest)
    if (!existsSync(file)) continue
    const manifest = JSON.parse(readFileSync(file, 'utf8')) as {
      config: { digest: string }
      layers: { digest: string }[]
    }
    for (const child of [manifest.config, ...manifest.layers]) need(child.digest)
  }
  return faults
}
