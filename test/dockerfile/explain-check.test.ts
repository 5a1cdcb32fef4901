import { readFileSync } from 'node:fs'
import path from 'node:path'
import test from 'ava'
import { checkRules } from '../../src/dockerfile/check-rules.ts'
import { checkNames, explainCheck } from '../../src/dockerfile/explain-check.ts'

test('there are 22 build checks, and a rule for files that cannot be understood', t => {
  t.is(Object.keys(checkRules).length, 22)
  t.deepEqual([...checkNames()], ['dockerfile-invalid', ...Object.keys(checkRules)])
})

test('every rule is explained, and names nobody knows are not', t => {
  for (const name of checkNames()) t.regex(explainCheck(name)?.explanation ?? '', /\.$/, name)
  t.is(explainCheck('constructor'), undefined)
  t.is(explainCheck('dockerfile-invalid')?.severity, 'error')
  t.regex(explainCheck('InvalidDefinitionDescription')?.explanation ?? '', /experimental=all/)
  t.is(explainCheck('InvalidBaseImagePlatform')?.url, undefined)
})

test('docs/build-checks.md says the same', t => {
  const page = readFileSync(path.join(import.meta.dirname, '../../docs/build-checks.md'), 'utf8')
  for (const name of Object.keys(checkRules))
    t.true(page.includes(`| \`${name}\` | ${explainCheck(name)?.explanation} |\n`), name)
})
