import { readFileSync } from 'node:fs'
import path from 'node:path'
import test from 'ava'
import { chompHeredoc, heredocsOfLine, parseHeredocWord } from '../../src/dockerfile/heredoc.ts'
import { readInstructionWords, splitKeepingQuotes } from '../../src/dockerfile/instruction-words.ts'
import { parseDockerfile } from '../../src/dockerfile/parse-dockerfile.ts'
import { conformancePath, testWith } from '../helpers/needs.ts'

const readTable = (file: string): unknown =>
  JSON.parse(readFileSync(path.join(conformancePath('dockerfile'), file), 'utf8'))

for (const [line, names] of [
  ['RUN <<A <<"B" 3<<-C', ['A', 'B', 'C']],
  ['RUN <<  A  > x', ['A']],
  ['RUN "<<A" \'<<B\' \\<<C', []],
  ['RUN cat<<A', []],
  ['RUN <<<A', []],
  ['RUN "open <<A', []],
] as const)
  test(`${line} begins ${names.length} here-documents`, t => {
    t.deepEqual(
      heredocsOfLine(line).map(({ name }) => name),
      [...names],
    )
  })

test('tabs go from the beginning of each line and from nowhere else', t => {
  t.is(chompHeredoc('\t\ta\tb\n\n\t\n  \tc\n\td'), 'a\tb\n\n\n  \tc\nd')
})

interface HelperTable {
  readonly fromLine: readonly { readonly line: string; readonly names: readonly string[] | null }[]
  readonly 'invalid(error)': readonly string[]
  readonly notHeredoc: readonly string[]
  readonly 'valid(all name EOF)': readonly string[]
}

testWith({ conformance: 'dockerfile/heredoc' })('words and lines are those of the peer', t => {
  const table = readTable('heredoc/helpers.json') as HelperTable
  for (const { line, names } of table.fromLine)
    t.deepEqual(
      heredocsOfLine(line).map(({ name }) => name),
      [...(names ?? [])],
      line,
    )
  for (const word of [...table['invalid(error)'], ...table.notHeredoc])
    t.is(parseHeredocWord(word), undefined, word)
  for (const word of table['valid(all name EOF)']) t.is(parseHeredocWord(word)?.name, 'EOF', word)
})

interface ParseTable {
  readonly dockerfile: string
  readonly heredocsPerInstructionAfterFROM: readonly (readonly object[] | null)[]
}

testWith({ conformance: 'dockerfile/heredoc' })('instructions get the texts of the peer', t => {
  const table = readTable('heredoc/parse.json') as ParseTable
  t.deepEqual(
    parseDockerfile(table.dockerfile, 'D')
      .nodes.slice(1)
      .map(({ heredocs }) =>
        heredocs.map(({ name, fileDescriptor, expand, chomp, content }) => ({
          Name: name,
          FileDescriptor: fileDescriptor,
          Expand: expand,
          Chomp: chomp,
          Content: content,
        })),
      ),
    table.heredocsPerInstructionAfterFROM.map(list => [...(list ?? [])]) as never,
  )
})

interface ListTable {
  readonly valid: Readonly<Record<string, readonly string[]>>
  readonly invalid: readonly string[]
}

testWith({ conformance: 'dockerfile/parser' })('lists and words split as with the peer', t => {
  const { valid, invalid } = readTable('parser/jsonArrays.json') as ListTable
  for (const [text, words] of Object.entries(valid))
    t.deepEqual(readInstructionWords('CMD', text, '\\'), { words, isJson: true }, text)
  for (const text of invalid)
    t.throws(() => readInstructionWords('CMD', text, '\\'), {
      message: 'when using JSON array syntax, arrays must be comprised of strings only',
    })
  for (const { input, expect } of readTable('parser/parseWords.json') as {
    input: string[]
    expect: string[]
  }[])
    t.deepEqual(splitKeepingQuotes(input.join(' '), '\\'), expect)
})

for (const [text, words] of [
  ['a\\', ['a']],
  ['a \\', ['a']],
  ['a "b\\', ['a', '"b']],
  ['a "b c', ['a', '"b c']],
  ['a\\ b', ['a\\ b']],
  ["'a\\' b", ["'a\\'", 'b']],
  ['\u0085a\u00a0b\ufeffc', ['a', 'b\ufeffc']],
] as const)
  test(`words of ${JSON.stringify(text)}`, t => {
    t.deepEqual(splitKeepingQuotes(text, '\\'), [...words])
  })
