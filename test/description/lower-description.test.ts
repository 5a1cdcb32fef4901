// Plans of whole descriptions, in test/golden/description/<case>/plan.json. UPDATE_GOLDEN=1 writes them anew; read the
// difference before committing it.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import test from 'ava'
import { imageReferences } from '../../src/description/container-config.ts'
import { lowerDescription } from '../../src/description/lower-description.ts'
import { readDescription } from '../../src/description/read-description.ts'
import { selectDescription } from '../../src/description/select-description.ts'
import { formatReference } from '../../src/oci/reference.ts'
import type { BuildPlan } from '../../src/plan/plan.ts'
import { descriptionText, kauriErrorOf, readText } from './make-description.ts'

const golden = path.join(import.meta.dirname, '../golden/description')

async function lower(directory: string): Promise<{ plan: BuildPlan; references: string[] }> {
  const selected = selectDescription(await readDescription(directory), {
    profiles: [],
    machine: 'x86_64',
  })
  return {
    plan: lowerDescription(selected, { kauriVersion: '0.0.0', scriptNetwork: 'none' }),
    references: imageReferences(selected).map(formatReference),
  }
}

/** Without what changes from place to place: the directory, and the helper library's own text. */
function portable(value: unknown, directory: string): string {
  const text = JSON.stringify(
    value,
    (key, member: unknown) =>
      key === 'text' && typeof member === 'string' && member.length > 5000 ? '…' : member,
    2,
  )
  return `${text.replaceAll(directory, '.')}\n`
}

for (const name of readdirSync(golden))
  test(`the plan of ${name} is the one on file`, async t => {
    const directory = path.join(golden, name)
    const file = path.join(directory, 'plan.json')
    const found = portable(await lower(directory), directory)
    if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(file, found)
    t.is(found, readFileSync(file, 'utf8'))
  })

test('lowering twice gives the same plan', async t => {
  const directory = path.join(golden, 'everything')
  t.deepEqual(await lower(directory), await lower(directory))
})

test('a script step sees its own script and no other', async t => {
  const { plan } = await lower(path.join(golden, 'everything'))
  const steps = plan.stages[0]?.steps.filter(({ title }) => title.endsWith('.sh')) ?? []
  t.deepEqual(
    steps.map(({ title }) => title),
    ['post_bootstrap.sh', 'config.sh', 'images.sh'],
  )
  for (const step of steps) {
    if (step.kind !== 'run') continue
    const scripts = step.mounts.map(({ target }) => target).filter(target => target.endsWith('.sh'))
    t.deepEqual(scripts.map(String), [`/image/${step.title}`])
    t.false(step.environment.some(variable => variable.startsWith('PWD=')))
  }
})

test('the network is the one that the caller opens', async t => {
  const selected = selectDescription(await readDescription(path.join(golden, 'everything')), {
    profiles: [],
    machine: 'x86_64',
  })
  const { stages } = lowerDescription(selected, { kauriVersion: '0.0.0', scriptNetwork: 'host' })
  const networks = stages[0]?.steps.map(step =>
    step.kind === 'run' && step.title.endsWith('.sh') ? step.network : undefined,
  )
  t.deepEqual(
    networks?.filter(network => network !== undefined),
    ['host', 'host', 'host'],
  )
})

test('credentials of a repository are percent-encoded into its location', async t => {
  const { plan } = await lower(path.join(golden, 'container'))
  const [install] = plan.stages[0]?.steps ?? []
  t.is(install?.kind, 'install')
  if (install?.kind === 'install')
    t.is(install.repositories[0]?.location, 'https://me:p%40ss%2Fword@example.org/debian')
})

test('a description without a repository cannot be built', async t => {
  const description = await readText(t, descriptionText({ repository: '' }))
  const selected = selectDescription(description, { profiles: [], machine: 'x86_64' })
  const error = kauriErrorOf(t, () =>
    lowerDescription(selected, { kauriVersion: '0.0.0', scriptNetwork: 'none' }),
  )
  t.is(error.code, 'DESCRIPTION_INVALID')
})

for (const packages of [
  '<packages type="image"><archive name="/etc/shadow.tar"/></packages>',
  '<packages type="image"><file name="a/../../b"/></packages>',
])
  test(`a file outside of the description is out of reach: ${packages.slice(23, 50)}`, async t => {
    const description = await readText(t, descriptionText({ packages }))
    const selected = selectDescription(description, { profiles: [], machine: 'x86_64' })
    const error = kauriErrorOf(t, () =>
      lowerDescription(selected, { kauriVersion: '0.0.0', scriptNetwork: 'none' }),
    )
    t.is(error.code, 'UNSUPPORTED')
    t.is(error.where?.line, 7)
  })

test("an overlay archive becomes the root user's", async t => {
  const description = await readText(t, descriptionText(), { 'root.tar.gz': '' })
  const selected = selectDescription(description, { profiles: [], machine: 'x86_64' })
  const { stages } = lowerDescription(selected, { kauriVersion: '0.0.0', scriptNetwork: 'none' })
  const step = stages[0]?.steps.at(-1)
  t.like(step, { kind: 'unpack', title: 'overlay root.tar.gz', target: '/', ownership: 'root' })
})
