// Files that nobody writes by accident: whatever the text, it is understood or refused, and soon.

import test from 'ava'
import { KauriError } from '../../src/core/errors.ts'
import { checkDockerfile } from '../../src/dockerfile/check-dockerfile.ts'
import { dumpStages, dumpTree } from '../../src/dockerfile/dump-dockerfile.ts'
import { expandWord } from '../../src/dockerfile/expand-word.ts'
import { parseDockerfile } from '../../src/dockerfile/parse-dockerfile.ts'

const platform = { os: 'linux', architecture: 'amd64' }

const keywords =
  'FROM RUN COPY ADD ENV ARG LABEL WORKDIR USER VOLUME EXPOSE CMD ENTRYPOINT SHELL HEALTHCHECK ONBUILD STOPSIGNAL MAINTAINER'
const words =
  'scratch AS a b /x 80/TCP NONE --from=a --mount=type=cache,target=/c --link --chmod=u=x $a ${a:-b} ${a ${a//b/c}'
const signs =
  '" \' \\ ` = a=b [ ] "a", { <<A <<-"A" # \0 \ufeff \u00e9 \ud800 \u{1f332} \u2028 __proto__ toString'
const lines = [
  '\nA\n',
  '# escape=`',
  '# check=skip=all',
  '\t',
  '\r',
  '\n',
  '\n',
  '\n',
  '\\\n',
  '`\n',
]
const blanks = [' ', ' ', ' ', ' ', '\nFROM scratch\n', ' \\ \n\n']
const pieces = [...`${keywords} ${words} ${signs}`.split(' '), ...lines, ...blanks]

/** The same texts each time. */
function createTexts(seed: number): () => string {
  let state = seed
  const next = (limit: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * limit)
  }
  return () => Array.from({ length: next(40) }, () => pieces[next(pieces.length)] ?? '').join('')
}

test('every text is a Dockerfile or is refused with its place', async t => {
  const nextText = createTexts(7)
  let understood = 0
  for (let round = 0; round < 2000; round++) {
    const text = round % 2 === 0 ? nextText() : `FROM scratch\n${nextText()}`
    const { error, diagnostics } = await checkDockerfile({ file: 'D', text }, { platform })
    const lineCount = text.split('\n').length
    for (const { where } of diagnostics)
      if (where.line < 1 || where.line > lineCount || where.column < 1)
        t.fail(`${JSON.stringify(text)}: ${JSON.stringify(where)}`)
    if (error === undefined) understood++
    JSON.stringify([dumpTree(text), dumpStages(text)])
  }
  t.true(understood > 25, `${understood}`)
})

test('lines of a tree are in order and say what the file says', t => {
  const nextText = createTexts(11)
  for (let round = 0; round < 1000; round++) {
    const text = `FROM a\n${nextText()}`
    let last = 0
    try {
      for (const { startLine, endLine } of parseDockerfile(text, 'D').nodes) {
        if (startLine <= last || endLine < startLine) t.fail(JSON.stringify(text))
        last = endLine
      }
    } catch (error) {
      if (!(error instanceof KauriError)) throw error
    }
  }
  t.pass()
})

const megabyte = 1_000_000
const fill = (unit: string, size = megabyte): string => unit.repeat(Math.ceil(size / unit.length))
/** A unit over and over, on continued lines of allowed length. */
const continued = (unit: string): string =>
  fill(`${unit.repeat(Math.floor(60_000 / unit.length))}\\\n`)

const ports = 'EXPOSE 0-65535/tcp 0-65535/udp 0-65535/sctp 1\n'

const giants: Readonly<Record<string, string>> = {
  comments: `FROM scratch\n${fill('# a\n')}`,
  'a comment of blanks': `FROM scratch\n# check=${fill(' ', 60_000)}x\nARG a\n`,
  'empty lines': `FROM scratch\n${fill('\n')}`,
  'empty continuations': `FROM scratch\nRUN a \\\n${fill('\n')}b\n`,
  'carriage returns': `FROM scratch\nRUN ${fill('\r', 60_000)}x\n`,
  'a line of blanks': `FROM scratch\nRUN a${fill(' ', 60_000)}b\n`,
  continuations: `FROM scratch\nRUN ${fill('a \\\n')}`,
  dollars: `FROM scratch\nWORKDIR /${continued('$')}`,
  references: `FROM scratch\nWORKDIR /${continued('$a')}`,
  'nested references': `FROM scratch\nWORKDIR /${continued('${a:-')}`,
  quotes: `FROM scratch\nWORKDIR /${continued('"\'')}`,
  heredocs: `FROM scratch\nRUN ${fill('<<A ', 60_000)}\n${fill('A\n', 30_000)}`,
  'an open heredoc': `FROM scratch\nRUN <<A\n${fill('B\n')}`,
  brackets: `FROM scratch\nCMD ${continued('[')}`,
  'an open list': `FROM scratch\nCMD [${continued('"a",')}`,
  arguments: `ARG ${continued('a=b ')}\nFROM scratch\n`,
  flags: `FROM scratch\nRUN ${continued('--mount=type=tmpfs,target=/a ')} x\n`,
  'a flag of many fields': `FROM scratch\nRUN --mount=${continued('a=b,')} x\n`,
  'triggers of triggers': `FROM scratch\nONBUILD ${continued('ONBUILD ')}`,
  instructions: `FROM scratch\n${fill('RUN a\n')}`,
  stages: fill('FROM scratch as A\n'),
  variables: `FROM scratch\nENV ${continued('a=$b ')}\n`,
  'other variables': `FROM scratch\nENV ${Array.from({ length: 60_000 }, (_, index) => `a${index}=b${index % 4000 === 0 ? ' \\\n' : ''}`).join(' ')}\n`,
  sources: `FROM scratch\nCOPY ${continued('a ')}\n`,
  'stages on stages': Array.from(
    { length: 9000 },
    (_, index) => `FROM ${index === 0 ? 'scratch' : `s${index - 1}`} AS s${index}\n`,
  ).join(''),
  'unknown words': fill('ABC d\n'),
  ports: `FROM scratch\n${fill(ports, 100_000)}`,
}

for (const [name, text] of Object.entries(giants))
  test.serial(`a megabyte of ${name} takes no more than seconds`, async t => {
    const start = performance.now()
    dumpTree(text)
    dumpStages(text)
    await checkDockerfile({ file: 'D', text }, { platform })
    // Time by the square would be minutes; the machine may be busy.
    t.true(performance.now() - start < 20_000)
  })

const expand = (text: string, values: Readonly<Record<string, string>>): string =>
  expandWord(text, { lookUp: name => values[name], escape: '\\' }).word

test('values that double themselves come to an end', t => {
  let value = 'x'.repeat(1_000_000)
  const error = t.throws(() => {
    for (let round = 0; round < 8; round++) value = expand('$a$a', { a: value })
  })
  t.regex(error.message, /grows beyond all measure/)
  t.throws(() => expand(`"${'$a'.repeat(2000)}"`, { a: value }), {
    message: /grows beyond all measure/,
  })
  t.throws(() => expand(`\${a//x/${'y'.repeat(60_000)}}`, { a: 'x'.repeat(60_000) }), {
    message: /grows beyond all measure/,
  })
})

test('patterns take no time by the power of their stars', t => {
  const a = 'a'.repeat(20_000)
  t.is(expand(`\${a#${'*a'.repeat(12)}b}`, { a }), a)
  t.is(expand(`\${a//${'*a'.repeat(12)}b/x}`, { a }), a)
  t.throws(() => expand(`\${a#${'*a'.repeat(20_000)}b}`, { a }), { message: /takes too long/ })
})

test('references within references are refused before the stack is full', t => {
  t.is(expand(`${'${b:-'.repeat(400)}x${'}'.repeat(400)}`, {}), 'x')
  t.throws(() => expand(`${'${b:-'.repeat(600)}x${'}'.repeat(600)}`, {}), {
    message: /nested too deeply/,
  })
})
