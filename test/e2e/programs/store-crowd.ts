// Many kauri processes on one store at once: some name images, some import, some build, some remove, some collect garbage
// without any time of grace. What each was told to keep is written down, to be looked for afterwards.

import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { KauriProgram, ProgramResult } from '../../helpers/kauri-program.ts'
import { tarOf } from '../../helpers/tar.ts'

export interface CrowdOptions {
  readonly kauri: KauriProgram
  /** Processes at any moment. */
  readonly processes: number
  readonly seconds: number
  /** For contexts of builds. */
  readonly directory: string
}

export interface CrowdOutcome {
  /** Names that must be there, and no others. */
  readonly kept: ReadonlySet<string>
  /** Commands that were run, by their word. */
  readonly counts: Readonly<Record<string, number>>
  /** What commands said that failed. */
  readonly failures: readonly string[]
}

interface Member {
  readonly number: number
  readonly turn: number
  readonly run: (args: readonly string[], input?: Uint8Array) => Promise<ProgramResult>
  readonly kept: Set<string>
  readonly directory: string
}

type Work = (member: Member) => Promise<void>

const tag: Work = async ({ number, turn, run, kept }) => {
  const name = `docker.io/library/tag-${number}:${turn}`
  if ((await run(['tag', 'seed', name])).code === 0) kept.add(name)
}

/** Keeps each second name, so that both ways of losing show. */
const tagAndRemove: Work = async ({ number, turn, run, kept }) => {
  const names = [0, 1].map(half => `docker.io/library/twice-${number}:${turn}-${half}`)
  for (const name of names) if ((await run(['tag', 'seed', name])).code === 0) kept.add(name)
  const [gone = ''] = names
  if ((await run(['rmi', gone])).code === 0) kept.delete(gone)
}

const load: Work = async ({ number, turn, run, kept }) => {
  const name = `docker.io/library/import-${number}:${turn}`
  const body = `file of ${number} in turn ${turn}\n`.repeat(2000)
  const input = tarOf({ name: './', type: '5' }, { name: './file', body })
  if ((await run(['import', '-', name], input)).code === 0) kept.add(name)
}

/** The same layer comes and goes again and again: its blob is old, unnamed, and just about to be used. */
const reuse: Work = async ({ number, turn, run, kept }) => {
  const name = `docker.io/library/again-${number}:${turn}`
  const body = 'the same bytes for everybody\n'.repeat(2000)
  const input = tarOf({ name: './', type: '5' }, { name: './file', body })
  if ((await run(['import', '-', name, '-m', `${number} ${turn}`], input)).code !== 0) return
  kept.add(name)
  if (turn % 2 === 0 && (await run(['rmi', name])).code === 0) kept.delete(name)
}

const build: Work = async ({ number, turn, run, kept, directory }) => {
  const name = `docker.io/library/build-${number}:${turn}`
  const context = path.join(directory, String(number))
  mkdirSync(context, { recursive: true })
  writeFileSync(path.join(context, 'Dockerfile'), `FROM seed\nCOPY file /\nLABEL turn=${turn}\n`)
  // Each second turn finds the step of the turn before, which garbage collection may just be removing.
  writeFileSync(path.join(context, 'file'), `built by ${number} in turn ${turn >> 1}`)
  if ((await run(['build', '-q', '-t', name, context])).code === 0) kept.add(name)
}

const collect: Work = async ({ run }) => {
  await run(['gc', '--older-than', '0s'])
}

const list: Work = async ({ turn, run }) => {
  await run(turn % 2 === 0 ? ['images', '-q'] : ['df'])
}

/** What the members do, in turns: of 64 there are 16 that tag and 4 that collect. */
const trades: readonly Work[] = [tag, load, tagAndRemove, build, tag, reuse, load, collect]
const everyListMember = 16

/** Runs the crowd; the image `seed` is there already. Every member ends the command that it runs when the time is up. */
export async function runCrowd(options: CrowdOptions): Promise<CrowdOutcome> {
  const { kauri, processes, seconds, directory } = options
  const kept = new Set<string>()
  const counts: Record<string, number> = {}
  const failures: string[] = []
  const untilMs = Date.now() + seconds * 1000
  const run = async (args: readonly string[], input?: Uint8Array): Promise<ProgramResult> => {
    const result = await kauri.run(args, input === undefined ? {} : { input })
    const word = args[0] ?? ''
    counts[word] = (counts[word] ?? 0) + 1
    if (result.code !== 0) failures.push(`${args.join(' ')}: ${result.stderr.slice(-2000)}`)
    return result
  }
  const members = Array.from({ length: processes }, async (_, number) => {
    const trade = number % everyListMember === 15 ? list : trades[number % trades.length]
    let turn = 0
    do await trade?.({ number, turn: turn++, run, kept, directory })
    while (Date.now() < untilMs)
  })
  await Promise.all(members)
  return { kept, counts, failures }
}
