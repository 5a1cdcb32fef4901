import { globSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import test from 'ava'
import { parseDockerfile } from '../../src/dockerfile/parse-dockerfile.ts'
import { formatNode } from '../../src/dockerfile/syntax-tree.ts'
import { conformancePath, testWith } from '../helpers/needs.ts'

const dump = (text: string): string[] => parseDockerfile(text, 'Dockerfile').nodes.map(formatNode)

for (const [title, text, want] of [
  ['a continuation keeps inner space', 'RUN a\\\n  b', ['(run "a  b")']],
  ['comments inside a continuation vanish', 'RUN a \\\n# no\nb', ['(run "a b")']],
  ['a backtick may be the escape', '# escape=`\nRUN a `\n b', ['(run "a  b")']],
  ['flags come before words', 'COPY --from=x -- a b', ['(copy ["--from=x"] "a" "b")']],
  ['a JSON list is words', 'CMD ["a", "b c"]', ['(cmd "a" "b c")']],
  ['broken JSON is a shell line', 'CMD ["a", b]', ['(cmd "[\\"a\\", b]")']],
  ['ENV pairs keep quotes', 'ENV a="b c" d=e', ['(env "a" "\\"b c\\"" "=" "d" "e" "=")']],
  ['ONBUILD holds an instruction', 'ONBUILD RUN x', ['(onbuild (run "x"))']],
] as const)
  test(title, t => {
    t.deepEqual(dump(text), [...want])
  })

for (const [text, message, line] of [
  ['', 'file with no instructions', 1],
  ['# only\n', 'file with no instructions', 1],
  ['FROM a\nENV b', 'ENV must have two arguments', 2],
  ['CMD ["a", ["b"]]', /arrays must be comprised of strings only/, 1],
  ['FROM a\nRUN <<EOF\nx', 'unterminated heredoc', 2],
  ['FROM a\n\n# b\nENV \\\n\\\n c', 'ENV must have two arguments', 4],
  ['FROM a\nRUN \\\n' + 'x'.repeat(70_000), /max allowed size/, 3],
  ['# escape=x\nFROM a', /invalid escape token 'x'/, 1],
  ['# escape=\\\n# escape=`\nFROM a', /only one escape parser directive/, 2],
  [`RUN ${'x'.repeat(70_000)}`, /max allowed size/, 1],
] as const)
  test(`${JSON.stringify(text.slice(0, 40))} is refused with its line`, t => {
    const error = t.throws(() => parseDockerfile(text, 'Dockerfile'), { message })
    t.like(error, { where: { file: 'Dockerfile', line } })
  })

testWith({ conformance: 'dockerfile/testfiles' })('the corpus of the peer parses as there', t => {
  const directory = conformancePath('dockerfile/testfiles')
  for (const file of globSync('*/Dockerfile', { cwd: directory })) {
    const want = readFileSync(path.join(directory, path.dirname(file), 'result'), 'utf8').trim()
    t.is(dump(readFileSync(path.join(directory, file), 'utf8')).join('\n'), want, file)
  }
})

interface ParseCase {
  readonly id: string
  readonly dockerfile: string
  readonly ast?: readonly string[]
  readonly escape?: string
  readonly nodes?: readonly {
    readonly value: string
    readonly startLine: number
    readonly endLine: number
    readonly original: string
    readonly comments?: readonly string[]
    readonly flags?: readonly string[]
  }[]
  readonly parseError?: string
}

testWith({ conformance: 'dockerfile/parse' })('every parse result of the peer is equal', t => {
  const directory = conformancePath('dockerfile/parse')
  const wrong: unknown[] = []
  for (const file of globSync('*.json', { cwd: directory }))
    for (const item of JSON.parse(
      readFileSync(path.join(directory, file), 'utf8'),
    ) as ParseCase[]) {
      const got = outcome(item.dockerfile)
      const want =
        item.parseError === undefined
          ? {
              ast: item.ast,
              nodes: (item.nodes ?? []).map(node => ({
                flags: [],
                comments: [],
                json: false,
                heredocs: [],
                ...node,
              })),
            }
          : { error: item.parseError }
      if (!isDeepStrictEqual(got, want)) wrong.push({ id: item.id, got, want })
    }
  t.is(JSON.stringify(wrong.slice(0, 6), null, 1), '[]')
})

function outcome(dockerfile: string): unknown {
  try {
    const { nodes } = parseDockerfile(dockerfile, 'Dockerfile')
    return {
      ast: nodes.map(formatNode),
      nodes: nodes.map(
        ({ keyword, startLine, endLine, original, comments, flags, isJson, heredocs }) => ({
          value: keyword,
          startLine,
          endLine,
          original,
          comments,
          flags,
          json: isJson,
          heredocs: heredocs.map(heredoc => ({
            Name: heredoc.name,
            FileDescriptor: heredoc.fileDescriptor,
            Expand: heredoc.expand,
            Chomp: heredoc.chomp,
            Content: heredoc.content,
          })),
        }),
      ),
    }
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) }
  }
}
