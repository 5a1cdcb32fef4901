// Damaged descriptions: whatever is changed in a good one, reading it ends in a description or in findings with places
// inside the file, never in another error. The seeds repeat; KAURI_FUZZ_ROUNDS runs more of them.

import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import test from 'ava'
import { formatDiagnostic } from '../../src/core/diagnostics.ts'
import { type Diagnostic, KauriError } from '../../src/core/errors.ts'
import { imageReferences } from '../../src/description/container-config.ts'
import { lowerDescription } from '../../src/description/lower-description.ts'
import { readDescription } from '../../src/description/read-description.ts'
import { selectDescription } from '../../src/description/select-description.ts'
import { makeDirectory } from './make-description.ts'

const rounds = Number(process.env['KAURI_FUZZ_ROUNDS'] ?? 400)
const golden = path.join(import.meta.dirname, '../golden/description')
const originals = [
  readFileSync(path.join(golden, 'container/config.xml'), 'utf8'),
  readFileSync(path.join(golden, 'everything/appliance.kiwi'), 'utf8'),
]

function generator(seed: number): (limit: number) => number {
  let state = seed
  return limit => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
    return Math.floor((state / 2_147_483_648) * limit)
  }
}

const pieces = [
  '<',
  '>',
  '/',
  '"',
  "'",
  '&',
  '=',
  ' ',
  '\n',
  '\r\n',
  '\t',
  '\u0000',
  '\u{1f332}',
  'é',
  ']]>',
  '<!--',
  '-->',
  '<![CDATA[',
  '<?',
  '?>',
  '&amp;',
  '&#0;',
  '&#x41;',
  '-1',
  '99999999999999999999',
  '../..',
  '/',
  ',',
  ':',
  '${x}',
  '__proto__',
  'true',
  '<type image="docker"/>',
  '<packages type="image">',
  '</packages>',
  ' name="x"',
  ' profiles="y"',
  ' arch="x86_64"',
] as const

function mutate(text: string, pick: (limit: number) => number): string {
  let result = text
  for (let count = 1 + pick(4); count > 0; count--) {
    const at = pick(result.length)
    const length = pick(4) === 0 ? pick(200) : pick(8)
    const piece = pieces[pick(pieces.length)] ?? ''
    const before = result.slice(0, at)
    const other = pick(result.length)
    switch (pick(4)) {
      case 0:
        result = before + result.slice(at + length)
        break
      case 1:
        result = before + piece + result.slice(at)
        break
      case 2:
        result = before + piece + result.slice(at + length)
        break
      default:
        result = before + result.slice(other, other + length * 10) + result.slice(at)
    }
  }
  return result
}

/** Reads, selects and lowers; findings where one of them refuses. */
async function findingsOfAll(directory: string): Promise<readonly Diagnostic[]> {
  try {
    const selected = selectDescription(await readDescription(directory), {
      profiles: [],
      machine: 'x86_64',
    })
    lowerDescription(selected, { kauriVersion: '0', scriptNetwork: 'none' })
    imageReferences(selected)
    return []
  } catch (error) {
    if (error instanceof KauriError) return error.diagnostics
    throw error
  }
}

test(`${rounds} damaged descriptions end in findings inside of the file`, async t => {
  t.timeout(300_000)
  const directory = makeDirectory(t, {
    'config.xml': '',
    'base.tar': '',
    'data/site.tar.gz': '',
    'app.conf': '',
  })
  for (let seed = 1; seed <= rounds; seed++) {
    const pick = generator(seed * 7919)
    const text = mutate(originals[seed % originals.length] ?? '', pick)
    writeFileSync(path.join(directory, 'config.xml'), text)
    const lines = text.split(/\r\n|\r|\n/)
    for (const finding of await findingsOfAll(directory)) {
      const { line, column } = finding.where
      const isInside =
        line >= 1 &&
        line <= lines.length &&
        column >= 1 &&
        column <= (lines[line - 1]?.length ?? 0) + 1
      if (!isInside) t.fail(`seed ${seed}: ${formatDiagnostic(finding)}`)
    }
  }
  t.pass()
})
