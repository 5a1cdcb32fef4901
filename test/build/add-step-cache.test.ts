// What COPY and ADD read: content, modes and types, never times or the name of a copied directory; and what may never be
// remembered: files that change while they are used.

import {
  appendFileSync,
  chmodSync,
  cpSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { planExecutor } from '../../src/build/execute-plan.ts'
import { ignoreEvents } from '../../src/core/events.ts'
import type { AddStep, BuildPlan, BuildStep } from '../../src/plan/plan.ts'
import { addOf, makeTree, openAddTrial, stageOf, type TreeWords } from '../helpers/add-trial.ts'
import { makeDoubles, runOf } from '../helpers/build-doubles.ts'
import { testWith } from '../helpers/needs.ts'
import { makeScratch } from '../helpers/scratch.ts'

const test = testWith({ root: true })

const files: TreeWords = {
  'd/f': 'F',
  'd/s/g': 'G',
  'd/l': { link: 'f' },
  'x.txt': 'X',
}
const whole = addOf('/d', '/to')

for (const { name, change, step = whole } of [
  {
    name: 'another time',
    change: (context: string) => utimesSync(path.join(context, 'd/f'), 1, 1),
  },
  {
    name: 'the same bytes written again',
    change: (context: string) => writeFileSync(path.join(context, 'd/f'), 'F'),
  },
  {
    name: 'a change that is not copied',
    change: (context: string) => writeFileSync(path.join(context, 'x.txt'), 'Y'),
  },
  {
    name: 'a copy of the context in its place',
    change: (context: string) => {
      cpSync(context, `${context}.new`, { recursive: true, verbatimSymlinks: true })
      rmSync(context, { recursive: true })
      renameSync(`${context}.new`, context)
    },
  },
  {
    name: 'another name of the copied directory',
    change: (context: string) => renameSync(path.join(context, 'd'), path.join(context, 'e')),
    step: addOf('/e', '/to'),
  },
  {
    name: 'a file more that is left out',
    change: (context: string) => writeFileSync(path.join(context, 'd/new.log'), ''),
    step: addOf('/d', '/to', { excludes: ['*.log'] }),
  },
] as const)
  test(`${name} rebuilds nothing`, async t => {
    using trial = await openAddTrial(files)
    const first = await trial.build([whole])
    change(trial.context)
    const second = await trial.build([step])
    t.deepEqual([first.steps[0]?.cached, second.steps[0]?.cached], [false, true])
    t.is(second.snapshot, first.snapshot)
  })

for (const { name, change } of [
  {
    name: 'other bytes of the same size',
    change: (context: string) => writeFileSync(path.join(context, 'd/f'), 'f'),
  },
  {
    name: 'another mode',
    change: (context: string) => chmodSync(path.join(context, 'd/s/g'), 0o600),
  },
  {
    name: 'another mode of a directory',
    change: (context: string) => chmodSync(path.join(context, 'd/s'), 0o700),
  },
  {
    name: 'another name',
    change: (context: string) => renameSync(path.join(context, 'd/f'), path.join(context, 'd/h')),
  },
  {
    name: 'an empty directory more',
    change: (context: string) => mkdirSync(path.join(context, 'd/empty')),
  },
  {
    name: 'another target of a link',
    change: (context: string) => {
      rmSync(path.join(context, 'd/l'))
      symlinkSync('s', path.join(context, 'd/l'))
    },
  },
  {
    name: 'a link in the place of a file',
    change: (context: string) => {
      rmSync(path.join(context, 'd/f'))
      symlinkSync('F', path.join(context, 'd/f'))
    },
  },
] as const)
  test(`${name} builds anew`, async t => {
    using trial = await openAddTrial(files)
    await trial.build([whole])
    change(trial.context)
    const second = await trial.build([whole])
    t.false(second.steps[0]?.cached)
    const fresh = await trial.build([whole], { options: { useCache: false } })
    t.deepEqual(trial.list(second), trial.list(fresh))
  })

test('the owner of a file counts where it is kept, and only there', async t => {
  using trial = await openAddTrial({ f: 'F' })
  const from: AddStep['from'] = { kind: 'stage', stage: 'base' }
  const stages = (owner: string) => [stageOf('base', [addOf('/f', '/f', { owner })])]
  const steps = [addOf('/f', '/g', { from })]
  await trial.build(steps, { stages: stages('1:1') })
  const other = await trial.build(steps, { stages: stages('2:2') })
  t.false(other.steps[0]?.cached)
  t.deepEqual(trial.list(other), ['/g 0644 2:2 F'])
})

/** Carries out a run that `during` stands for, then a step whose source was read before. */
async function buildDuring(
  step: BuildStep,
  during: (context: string) => void,
  words: TreeWords = files,
): Promise<void> {
  using scratch = makeScratch()
  const context = scratch.at('context')
  makeTree(context, words)
  const doubles = await makeDoubles(scratch.at('data'))
  doubles.script = () => {
    during(context)
    return 0
  }
  const plan: BuildPlan = {
    contexts: { main: { directory: context } },
    stages: [stageOf('result', [addOf('/x.txt', '/etc/hosts'), runOf('true'), step])],
  }
  await planExecutor(doubles.parts)(plan, { useCache: true, offline: false, emit: ignoreEvents })
}

const large = 'L'.repeat(400_000)

for (const { name, change, words } of [
  {
    name: 'file',
    change: (context: string) => writeFileSync(path.join(context, 'd/f'), 'f'),
  },
  {
    name: 'large file',
    words: { 'x.txt': '', 'd/f': large },
    change: (context: string) => writeFileSync(path.join(context, 'd/f'), large.replace('L', 'M')),
  },
  {
    name: 'file that grows',
    change: (context: string) => appendFileSync(path.join(context, 'd/s/g'), 'more'),
  },
  {
    name: 'link',
    change: (context: string) => {
      rmSync(path.join(context, 'd/l'))
      symlinkSync('/etc/passwd', path.join(context, 'd/l'))
    },
  },
  {
    name: 'file that becomes a link',
    change: (context: string) => {
      rmSync(path.join(context, 'd/f'))
      symlinkSync('/etc/passwd', path.join(context, 'd/f'))
    },
  },
  {
    name: 'file that goes away',
    change: (context: string) => rmSync(path.join(context, 'd/f')),
  },
  {
    name: 'directory that becomes a link',
    change: (context: string) => {
      rmSync(path.join(context, 'd/s'), { recursive: true })
      symlinkSync('/etc', path.join(context, 'd/s'))
    },
  },
] as const)
  test(`a ${name} that changed since it was read is an error, not a result`, async t => {
    await t.throwsAsync(buildDuring(whole, change, words), {
      code: 'PROCESS_FAILED',
      message: /changed while it was used/,
    })
  })
