import { globSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { dumpStages, dumpTree } from '../../src/dockerfile/dump-dockerfile.ts'
import { conformancePath, testWith } from '../helpers/needs.ts'

type Case = Readonly<Record<string, unknown>> & { readonly dockerfile: string }

function readCases(directory: string): Case[] {
  return globSync('*.json', { cwd: directory }).flatMap(
    file => JSON.parse(readFileSync(path.join(directory, file), 'utf8')) as Case[],
  )
}

const treeMembers = ['ast', 'nodes', 'escape', 'syntax', 'parserWarnings', 'parseError']
const stageMembers = ['stages', 'metaArgs', 'syntaxLint', 'instructionError', 'parseError']

function pick(item: Case, members: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(item).filter(([name]) => members.includes(name)))
}

testWith({ conformance: 'dockerfile/parse' })('trees and stages are those of the peer', t => {
  const wrong: unknown[] = []
  for (const item of readCases(conformancePath('dockerfile/parse')))
    for (const [got, want] of [
      [dumpTree(item.dockerfile), pick(item, treeMembers)],
      [dumpStages(item.dockerfile), pick(item, stageMembers)],
    ])
      if (!isDeepStrictEqual(JSON.parse(JSON.stringify(got)), want))
        wrong.push({ id: item['id'], got, want })
  t.is(JSON.stringify(wrong.slice(0, 4), null, 1), '[]', `${wrong.length} differ`)
})
