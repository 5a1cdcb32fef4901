// What real engines made of a Dockerfile, and how a result of kauri's is compared with it.

import { createHash } from 'node:crypto'
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import path from 'node:path'
import { conformancePath } from './needs.ts'

/** One whole build of the conformance tables. */
export interface BuildCase {
  readonly index: number
  readonly name: string
  /** A tar, relative to the tables' `build` folder. */
  readonly context: string
  readonly dockerfile: string
  readonly dockerfileName: string
  readonly buildArgs: Readonly<Record<string, string>> | null
}

/** A file of a result; `mtime` is there and not compared. */
export interface ResultEntry {
  readonly type: string
  readonly mode: string
  readonly uid: number
  readonly gid: number
  readonly size?: number
  readonly sha256?: string
  readonly linkname?: string
}

/** What an engine made. */
export interface EngineResult {
  readonly ok: boolean
  readonly note?: string
  readonly dockerfileUsed?: string
  /** True where the result stands on the base, and not on nothing. */
  readonly baseIncluded?: boolean
  /** What differs from the base. */
  readonly fs?: Readonly<Record<string, ResultEntry>>
  readonly removedFromBase?: readonly string[]
  readonly config?: {
    readonly config: Readonly<Record<string, unknown>>
    readonly history: readonly HistoryOfResult[]
  }
}

export interface HistoryOfResult {
  readonly created_by?: string
  readonly empty_layer?: boolean
}

export function readBuildCases(): readonly BuildCase[] {
  const file = conformancePath('build/cases.json')
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : []
}

export function readEngineResult(engine: string, index: number): EngineResult | undefined {
  const file = conformancePath(`build/expected/${engine}/${String(index).padStart(3, '0')}.json`)
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined
}

/** Every entry below a directory, by absolute path as seen from it. */
export function readTree(directory: string): Map<string, ResultEntry> {
  const entries = new Map<string, ResultEntry>()
  const walk = (below: string): void => {
    for (const name of readdirSync(path.join(directory, below))) {
      const guest = `${below}/${name}`
      entries.set(guest, describe(path.join(directory, guest)))
      if (entries.get(guest)?.type === 'dir') walk(guest)
    }
  }
  walk('')
  return entries
}

function describe(file: string): ResultEntry {
  const stats = lstatSync(file)
  const common = {
    mode: `0${(stats.mode & 0o7777).toString(8).padStart(3, '0')}`.slice(-4),
    uid: stats.uid,
    gid: stats.gid,
  }
  if (stats.isDirectory()) return { type: 'dir', ...common }
  if (stats.isSymbolicLink()) return { type: 'symlink', ...common, linkname: readlinkSync(file) }
  if (!stats.isFile()) return { type: 'other', ...common }
  const bytes = readFileSync(file)
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  return { type: 'file', ...common, size: bytes.length, sha256 }
}

/** How the tree of a result differs from what the engine made on the same base, a line each; empty where it does not. */
export function compareTrees(
  actual: ReadonlyMap<string, ResultEntry>,
  base: ReadonlyMap<string, ResultEntry>,
  expected: EngineResult,
): string[] {
  const wanted = new Map(Object.entries(expected.fs ?? {}))
  const removed = new Set(expected.removedFromBase ?? [])
  const names = new Set([...actual.keys(), ...base.keys(), ...wanted.keys()])
  const differences: string[] = []
  for (const name of [...names].toSorted()) {
    if (name === '/') continue
    const want = wanted.get(name) ?? (removed.has(name) ? undefined : base.get(name))
    const is = actual.get(name)
    if (summarize(want) !== summarize(is))
      differences.push(`${name}: ${summarize(is)}, the engine: ${summarize(want)}`)
  }
  return differences
}

/** A hard link is whatever it links to. */
function summarize(entry: ResultEntry | undefined): string {
  if (entry === undefined) return 'nothing'
  const { type, mode, uid, gid, size, sha256, linkname } = entry
  const rest = type === 'symlink' ? linkname : `${size ?? ''} ${sha256?.slice(0, 12) ?? ''}`
  return `${type} ${type === 'symlink' ? '' : mode} ${uid}:${gid} ${rest}`.trim()
}

/** Members of a configuration without those that say nothing. */
export function meaningful(config: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const said = Object.entries(config).filter(
    ([name, value]) => name !== 'ArgsEscaped' && !isNothing(value),
  )
  return Object.fromEntries(said)
}

function isNothing(value: unknown): boolean {
  if (value === null || value === undefined || value === '' || value === false) return true
  return typeof value === 'object' && Object.keys(value).length === 0
}
