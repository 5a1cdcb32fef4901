// What must hold for every Dockerfile: a build that finds its steps in the cache makes the same image as one that finds
// nothing. Tried with generated ones; KAURI_PROPERTY_SEEDS=FIRST-LAST chooses others than the few of every run.

import { cpSync, mkdirSync, utimesSync, writeFileSync } from 'node:fs'
import process from 'node:process'
import type { ExecutionContext } from 'ava'
import { compareTrees, meaningful, readTree } from '../helpers/build-results.ts'
import {
  changeContext,
  generateDockerfile,
  type Random,
  randomOf,
  writeContext,
} from '../helpers/generated-dockerfile.ts'
import type { ProgramResult } from '../helpers/kauri-program.ts'
import { testWith } from '../helpers/needs.ts'
import { useContainers } from '../helpers/run-containers.ts'
import { makeScratch, type Scratch } from '../helpers/scratch.ts'

const { kauri } = useContainers()
/** The last two once showed a layer that depended on when its files were written. */
const usualSeeds = [1, 2, 3, 4, 39, 56]

const epoch = '1700000000'

for (const seed of chosenSeeds())
  testWith({ root: true })(`with cache and without, seed ${seed} gives the same image`, t =>
    holds(t, seed),
  )

function chosenSeeds(): readonly number[] {
  const [first, last = first] = (process.env['KAURI_PROPERTY_SEEDS'] ?? '').split('-').map(Number)
  if (!first || last === undefined) return usualSeeds
  return Array.from({ length: last - first + 1 }, (_, index) => first + index)
}

async function holds(t: ExecutionContext, seed: number): Promise<void> {
  using scratch = makeScratch()
  const random = randomOf(seed)
  const context = makeContext(scratch, random)
  t.log(context.dockerfile)
  const build = (directory: string, ...options: readonly string[]): Promise<ProgramResult> =>
    kauri.run(['build', '--network', 'none', '--quiet', ...options, directory])
  const stamped = ['--source-date-epoch', epoch]

  const cold = await build(context.directory, ...stamped)
  const moved = scratch.at('moved')
  cpSync(context.directory, moved, { recursive: true, verbatimSymlinks: true })
  utimesSync(`${moved}/a.txt`, 1_600_000_000, 1_600_000_000)
  same(t, await build(moved, ...stamped), cold, 'moved and touched')
  same(t, await build(moved, '--no-cache', ...stamped), cold, 'without the cache')

  changeContext(moved, random)
  const warm = await build(moved, ...stamped)
  same(t, await build(moved, '--no-cache', ...stamped), warm, 'after a change')
  if (warm.code !== 0) return
  const outputs = async (name: string, ...options: readonly string[]): Promise<string> => {
    const { code, stderr } = await build(
      moved,
      ...options,
      '-o',
      scratch.at(name),
      '-o',
      'type=image',
      '-t',
      name,
    )
    t.is(code, 0, stderr)
    return scratch.at(name)
  }
  const found = readTree(await outputs('warm'))
  const made = readTree(await outputs('fresh', '--no-cache'))
  t.deepEqual(compareTrees(made, found, { ok: true }), [], 'trees without an epoch')
  t.deepEqual(await configOf('fresh'), await configOf('warm'))
}

function same(t: ExecutionContext, is: ProgramResult, was: ProgramResult, what: string): void {
  t.is(is.code, was.code, `${what}: ${is.stderr}\n${was.stderr}`)
  t.is(is.stdout, was.stdout, what)
}

async function configOf(name: string): Promise<Record<string, unknown>> {
  const [image] = JSON.parse((await kauri.run(['inspect', '--json', name])).stdout)
  return meaningful(image.Config)
}

function makeContext(
  scratch: Scratch,
  random: Random,
): { readonly directory: string; readonly dockerfile: string } {
  const directory = scratch.at('context')
  mkdirSync(directory)
  writeContext(directory, random)
  const dockerfile = generateDockerfile(random, 'small')
  writeFileSync(`${directory}/Dockerfile`, dockerfile)
  return { directory, dockerfile }
}
