// Whole builds beside what BuildKit made of the same Dockerfiles: the file tree, the configuration and the history. Where
// the results of BuildKit's newest COPY are known they are the rule, else those of the engine that docker 20.10 holds.

import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import test, { type ExecutionContext } from 'ava'
import {
  type BuildCase,
  compareTrees,
  type EngineResult,
  meaningful,
  type ResultEntry,
  readBuildCases,
  readEngineResult,
  readTree,
} from '../helpers/build-results.ts'
import { type KauriProgram, kauriProgram } from '../helpers/kauri-program.ts'
import { conformancePath, testWith } from '../helpers/needs.ts'
import { makeScratch, type Scratch } from '../helpers/scratch.ts'

const newest = 'buildkit-HEAD-copy-oracle'
const engine = 'docker-buildkit-20.10.24'

/** Names that the cases use for the one base that the tables have. */
const baseNames = ['mirror.gcr.io/busybox', 'mirror.gcr.io/alpine', 'quay.io/libpod/centos:7']

/** Cases whose result must differ, with the reason. */
const olderIgnore =
  'the engine of the results looks into directories that are left out in another way than the newest BuildKit'
const noMountPoints = 'what is mounted while RUN works leaves no empty directories in the image'

const exceptions: Readonly<Record<number, string>> = {
  148: olderIgnore,
  149: olderIgnore,
  154: olderIgnore,
  155: olderIgnore,
  // As the newest BuildKit, which removes the targets of --mount again.
  166: noMountPoints,
  // BuildKit leaves /dev, /etc, /proc and /sys on an empty root.
  178: noMountPoints,
  179: noMountPoints,
}

let shared: { readonly kauri: KauriProgram; readonly scratch: Scratch; base: TreeOf } | undefined
type TreeOf = ReadonlyMap<string, ResultEntry>

test.before(async () => {
  const base = conformancePath('build/base/busybox.tar')
  if (process.getuid?.() !== 0 || !existsSync(base)) return
  const kauri = kauriProgram()
  const scratch = makeScratch()
  for (const name of baseNames)
    await kauri.run(['import', base, name, '-c', 'CMD ["sh"]', '-c', `ENV PATH=${usualPath}`])
  mkdirSync(scratch.at('base'))
  execFileSync('tar', ['-xf', base, '-C', scratch.at('base')])
  shared = { kauri, scratch, base: readTree(scratch.at('base')) }
})

test.after.always(() => {
  shared?.kauri[Symbol.dispose]()
  shared?.scratch[Symbol.dispose]()
})

const usualPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
const conformance = testWith({ root: true, conformance: 'build' })

for (const one of readBuildCases()) {
  const exception = exceptions[one.index]
  const title = `${one.index} ${one.name}`
  if (exception === undefined) conformance(title, t => compare(t, one))
  else test.skip(`${title} [${exception}]`, () => {})
}

interface Expected {
  readonly result: EngineResult
  /** True where only the tree is known. */
  readonly treeOnly: boolean
}

/** What is known about a case; undefined where no engine that knows today's language ran it. */
function expectationOf({ index }: BuildCase): Expected | undefined {
  const tree = newestTree(index)
  const whole = readEngineResult(engine, index)
  if (!whole?.ok) return tree && { result: tree, treeOnly: true }
  if (tree === undefined || keepsArchive(tree)) return { result: whole, treeOnly: false }
  return tree.ok
    ? { result: { ...whole, fs: tree.fs ?? {} }, treeOnly: false }
    : { result: tree, treeOnly: true }
}

/** Without those that say that something could not be tried. */
function newestTree(index: number): EngineResult | undefined {
  const tree = readEngineResult(newest, index)
  return tree?.note ? undefined : tree
}

/** Archives were not unpacked where the newest results come from. */
function keepsArchive({ fs = {} }: EngineResult): boolean {
  return Object.keys(fs).some(name => /\.tar(?:\.\w+)?$/.test(name))
}

async function compare(t: ExecutionContext, one: BuildCase): Promise<void> {
  const expected = expectationOf(one)
  const { code, stderr, directory } = await build(one, dockerfileOf(one, expected))
  if (expected === undefined) {
    t.true(code === 0 || stderr !== '')
    return
  }
  if (!expected.result.ok) {
    t.not(code, 0, 'the engine refused it')
    t.regex(stderr, /not found|failed to process|cannot replace/)
    return
  }
  t.is(code, 0, stderr)
  const base = expected.result.baseIncluded ? (shared?.base ?? new Map()) : new Map()
  t.deepEqual(compareTrees(readTree(path.join(directory, 'out')), base, expected.result), [])
  if (!expected.treeOnly) await compareConfig(t, one, expected.result)
}

/** What the engine was given in place of the Dockerfile in the context. */
function dockerfileOf(one: BuildCase, expected: Expected | undefined): string | undefined {
  if (expected?.treeOnly) return one.dockerfile.replace(/^# syntax=.*\n/, '')
  return expected?.result.dockerfileUsed
}

interface Built {
  readonly code: number | null
  readonly stderr: string
  readonly directory: string
}

async function build(one: BuildCase, rewritten: string | undefined): Promise<Built> {
  if (shared === undefined) throw new Error('the base is not there')
  const { kauri, scratch } = shared
  const directory = scratch.at(String(one.index))
  const context = path.join(directory, 'context')
  mkdirSync(path.join(directory, 'context'), { recursive: true })
  const tar = path.join(conformancePath('build'), one.context)
  execFileSync('tar', ['-xpf', tar, '--xattrs', '-C', path.join(directory, 'context')])
  mkdirSync(context, { recursive: true })
  const file = path.join(context, one.dockerfileName || 'Dockerfile')
  mkdirSync(path.dirname(file), { recursive: true })
  if (!existsSync(file) || rewritten !== undefined) writeFileSync(file, rewritten ?? one.dockerfile)
  const args = Object.entries(one.buildArgs ?? {}).flatMap(([name, value]) => [
    '--build-arg',
    `${name}=${value}`,
  ])
  const local = `type=local,dest=${path.join(directory, 'out')}`
  const outputs = ['-o', local, '-o', 'type=image', '-t', `case:${one.index}`]
  const result = await kauri.run(['build', '-f', file, ...args, ...outputs, context])
  return { code: result.code, stderr: result.stderr, directory }
}

async function compareConfig(
  t: ExecutionContext,
  { index }: BuildCase,
  { config }: EngineResult,
): Promise<void> {
  const actual = await storedConfig(`case:${index}`)
  t.deepEqual(meaningful(actual?.config ?? {}), meaningful(config?.config ?? {}))
  const lines = (document: EngineResult['config']): unknown[] =>
    (document?.history ?? [])
      .filter(line => line.created_by !== undefined)
      .map(line => [sameWords(line.created_by ?? ''), line.empty_layer ?? false])
  t.deepEqual(lines(actual), lines(config))
}

/** The newest BuildKit writes more of three instructions into the history than the one that the results come from. */
function sameWords(line: string): string {
  return line
    .replace(/^(COPY|ADD) (?:--\S+ )*/, '$1 ')
    .replace(
      /^EXPOSE (?:map)?\[(.*)\]$/,
      (_, ports: string) => `EXPOSE ${ports.replaceAll(':{}', '')}`,
    )
    .replace(/^(ARG [^=]+)=.*$/s, '$1')
}

async function storedConfig(name: string): Promise<EngineResult['config']> {
  if (shared === undefined) return undefined
  const { kauri } = shared
  const [image] = JSON.parse((await kauri.run(['inspect', '--json', name])).stdout)
  const hex = image.Manifest.Config.digest.replace('sha256:', '')
  return JSON.parse(readFileSync(path.join(kauri.dataRoot, 'oci/blobs/sha256', hex), 'utf8'))
}
