// The descriptions and examples of this repository have no findings, can be lowered, and say how to use them.

import { existsSync, readdirSync } from 'node:fs'
import path from 'node:path'
import test from 'ava'
import { checkDescription } from '../../src/description/check-description.ts'
import { lowerDescription } from '../../src/description/lower-description.ts'
import { readDescription } from '../../src/description/read-description.ts'
import { selectDescription } from '../../src/description/select-description.ts'

const root = path.join(import.meta.dirname, '../..')
const directories = ['descriptions', 'examples'].flatMap(folder =>
  readdirSync(path.join(root, folder)).map(name => path.join(folder, name)),
)

for (const directory of directories.filter(one => existsSync(path.join(root, one, 'config.xml'))))
  test(`${directory} has no findings and a plan`, async t => {
    const full = path.join(root, directory)
    t.deepEqual(await checkDescription(full), [])
    t.true(existsSync(path.join(full, 'README.md')))
    const selected = selectDescription(await readDescription(full), {
      profiles: [],
      machine: 'x86_64',
    })
    const plan = lowerDescription(selected, { kauriVersion: '0.0.0', scriptNetwork: 'none' })
    t.true((plan.stages[0]?.steps.length ?? 0) > 0)
  })
