// The table of docs/dockerfile.md as tests: each row is a title with its number, and small builds that show it.

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
import test, { type ExecutionContext } from 'ava'
import { type BuildTrial, openBuildTrial } from './build-trial.ts'
import { testWith } from './needs.ts'

export interface FeatureBuild {
  readonly dockerfile: string
  /** Files of the context. */
  readonly files?: Readonly<Record<string, string>>
  readonly words?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Texts of files in the result, without the last line break; `mode:PATH` its mode and owner, `link:PATH` a link's target. */
  readonly has?: Readonly<Record<string, string>>
  readonly lacks?: readonly string[]
  /** Members of the image's configuration. */
  readonly config?: Readonly<Record<string, unknown>>
  /** What is told on the way. */
  readonly told?: RegExp
  /** The build fails with this. */
  readonly refused?: RegExp
}

type Row = (number: number, title: string, ...builds: readonly FeatureBuild[]) => void

export interface FeatureRows {
  readonly row: Row
  /** A row that needs more than builds. */
  readonly rowWith: (
    number: number,
    title: string,
    body: (t: ExecutionContext, trial: BuildTrial) => Promise<void>,
  ) => void
}

/** One state directory for the rows of a file. */
export function featureRows(): FeatureRows {
  const rootTest = testWith({ root: true })
  let shared: BuildTrial | undefined
  test.before(async () => {
    if (process.getuid?.() === 0) shared = await openBuildTrial()
  })
  test.after.always(() => shared?.[Symbol.dispose]())
  const trial = (): BuildTrial => {
    if (shared === undefined) throw new Error('nothing was prepared')
    return shared
  }
  const rowWith: FeatureRows['rowWith'] = (number, title, body) =>
    rootTest(`row ${number}: ${title}`, t => body(t, trial()))
  return {
    rowWith,
    row: (number, title, ...builds) =>
      rowWith(number, title, async (t, prepared) => {
        for (const one of builds) await checkBuild(t, prepared, one)
      }),
  }
}

/** Builds, and compares what came of it. */
export async function checkBuild(
  t: ExecutionContext,
  { kauri, contextOf, scratch, tryBuild }: BuildTrial,
  one: FeatureBuild,
): Promise<void> {
  const directory = contextOf({ ...one.files, Dockerfile: one.dockerfile })
  const out = scratch.at(`out-${path.basename(directory)}`)
  const outputs = [
    '-o',
    out,
    ...(one.config === undefined ? [] : ['-o', 'type=image', '-t', 'row']),
  ]
  const words = [...outputs, ...(one.words ?? []), directory]
  const { code, stderr } = await tryBuild(words, one.env === undefined ? {} : { env: one.env })
  const about = `${one.dockerfile}\n${stderr}`
  if (one.refused !== undefined) {
    t.not(code, 0, about)
    t.regex(stderr, one.refused)
    return
  }
  t.is(code, 0, about)
  if (one.told !== undefined) t.regex(stderr, one.told)
  for (const [name, text] of Object.entries(one.has ?? {}))
    t.is(wordsOf(out, name), text, `${name}\n${about}`)
  for (const name of one.lacks ?? []) t.false(existsSync(path.join(out, name)), `${name}\n${about}`)
  if (one.config === undefined) return
  const inspected = await kauri.run(['inspect', 'row'])
  const [image]: readonly { readonly Config: unknown; readonly Author: unknown }[] = JSON.parse(
    inspected.stdout,
  )
  t.like(image?.Config, one.config, about)
}

function wordsOf(out: string, name: string): string {
  const [, kind, file = name] = /^(mode|link|list):(.*)$/.exec(name) ?? []
  const found = path.join(out, file)
  if (kind === 'list') return readdirSync(found).toSorted().join(' ')
  if (kind === 'link') return readlinkSync(found)
  if (kind === undefined) return readFileSync(found, 'utf8').replace(/\n$/, '')
  const { mode, uid, gid } = lstatSync(found)
  return `${(mode & 0o7777).toString(8)} ${uid}:${gid}`
}

/** Writes a file with its directories. */
export function writeBelow(directory: string, name: string, text: string | Uint8Array): string {
  const file = path.join(directory, name)
  mkdirSync(path.dirname(file), { recursive: true })
  writeFileSync(file, text)
  return file
}
