// docs/dockerfile.md promises a test for each row of its table; here it is looked for.

import { readFileSync } from 'node:fs'
import path from 'node:path'
import test from 'ava'

const docs = path.join(import.meta.dirname, '../../docs')
const text = readFileSync(path.join(docs, 'dockerfile.md'), 'utf8')
const rows = text
  .split('\n')
  .filter(line => /^\| \d+ \|/.test(line))
  .map(line => line.split(/(?<!\\)\|/).map(cell => cell.trim()))

test('the table has 86 rows, in order', t => {
  t.deepEqual(
    rows.map(cells => Number(cells[1])),
    Array.from({ length: 86 }, (_, index) => index + 1),
  )
})

test('each row that says yes names a test that is there', t => {
  for (const [, number = '', , kauri = '', , , , shown = ''] of rows) {
    const [, file] = /\]\((.*)\)/.exec(shown) ?? []
    if (file === undefined) {
      t.is(kauri, 'N', `row ${number}`)
      continue
    }
    const source = readFileSync(path.join(docs, file), 'utf8')
    if (file.includes('/e2e/dockerfile-'))
      t.regex(source, new RegExp(`^row(?:With)?\\(\\s*${number},`, 'm'), `row ${number}`)
  }
})
