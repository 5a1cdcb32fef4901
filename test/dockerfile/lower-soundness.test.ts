import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import test from 'ava'
import { KauriError } from '../../src/core/errors.ts'
import type { BuildPlan, BuildStage, BuildStep, SourceRoot } from '../../src/plan/plan.ts'
import { generateDockerfile, randomOf } from '../helpers/generated-dockerfile.ts'
import { lowerText } from '../helpers/lowering.ts'
import { conformancePath, testWith } from '../helpers/needs.ts'

const allowed = new Set(['network.host', 'security.insecure'] as const)

function rootsOf(step: BuildStep): readonly SourceRoot[] {
  if (step.kind === 'add') return [step.from]
  if (step.kind !== 'run') return []
  return (step.buildMounts ?? []).flatMap(mount =>
    'from' in mount && mount.from !== undefined ? [mount.from] : [],
  )
}

/** What is wrong with a plan, whatever it was made of. */
function faultsOf(plan: BuildPlan): string[] {
  const faults: string[] = []
  const known = new Set<string>()
  for (const stage of plan.stages) {
    const { base, steps, history } = stage
    if (known.has(stage.id)) faults.push(`two stages ${stage.id}`)
    if (base.kind === 'stage' && !known.has(base.stage))
      faults.push(`base ${base.stage} comes later`)
    for (const root of steps.flatMap(rootsOf)) {
      if (root.kind === 'stage' && !known.has(root.stage)) faults.push(`${root.stage} comes later`)
      if (root.kind === 'context' && plan.contexts[root.context] === undefined)
        faults.push(`no context ${root.context}`)
    }
    const layers =
      history.kind === 'instructions' ? history.lines.flatMap(line => line.step ?? []) : []
    if (layers.join() !== [...steps.keys()].join()) faults.push(`layers ${layers.join()}`)
    known.add(stage.id)
  }
  return [...faults, ...unneeded(plan)]
}

/** Every stage but the result is there because another one needs it. */
function unneeded({ stages }: BuildPlan): string[] {
  const needed = new Set(
    stages.flatMap(({ base, steps }: BuildStage) => [
      ...(base.kind === 'stage' ? [base.stage] : []),
      ...steps.flatMap(rootsOf).map(root => (root.kind === 'stage' ? root.stage : '')),
    ]),
  )
  return stages.slice(0, -1).flatMap(({ id }) => (needed.has(id) ? [] : [`nobody needs ${id}`]))
}

/** Faults of a text's plan; a refusal is none where it says what and where. */
async function tried(text: string): Promise<string[]> {
  try {
    return faultsOf((await lowerText(text, { allow: allowed })).plan)
  } catch (error) {
    if (!(error instanceof KauriError)) throw error
    const isPlaced = error.where !== undefined || /no stages|cannot be empty/.test(error.message)
    return isPlaced && error.code !== 'INTERNAL' ? [] : [`${error.code} ${error.message}`]
  }
}

testWith({ conformance: 'dockerfile/parse' })(
  'a file has a sound plan, or a refusal with its place',
  async t => {
    const directory = conformancePath('dockerfile/parse')
    const cases = readdirSync(directory).flatMap(
      name =>
        JSON.parse(readFileSync(path.join(directory, name), 'utf8')) as { dockerfile: string }[],
    )
    const wrong: unknown[] = []
    for (const { dockerfile } of cases) {
      const found = await tried(dockerfile)
      if (found.length > 0) wrong.push({ dockerfile, found })
    }
    t.true(cases.length > 600)
    t.deepEqual(wrong, [])
  },
)

test('a generated file has a sound plan', async t => {
  for (let seed = 1; seed <= 200; seed++) {
    const text = generateDockerfile(randomOf(seed), 'busybox')
    t.deepEqual(await tried(text), [], text)
  }
})
