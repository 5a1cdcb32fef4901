import test from 'ava'
import { formatDiagnostic, sortDiagnostics } from '../../src/core/diagnostics.ts'
import type { Diagnostic } from '../../src/core/errors.ts'

const finding = (line: number, column: number, rest: Partial<Diagnostic> = {}): Diagnostic => ({
  severity: 'error',
  rule: 'element-unknown',
  message: 'unknown element <packges>',
  where: { file: 'config.xml', line, column },
  ...rest,
})

test('a finding shows its place, its line with a caret, and the hint', t => {
  const text = formatDiagnostic(
    finding(12, 5, { excerpt: '    <packges>', hint: 'write <packages>' }),
  )
  t.is(
    text,
    [
      'config.xml:12:5: error: unknown element <packges> [element-unknown]',
      '        <packges>',
      '        ^',
      '    hint: write <packages>',
    ].join('\n'),
  )
})

test('the caret stays below its place behind tabs and characters outside the first plane', t => {
  const [, line = '', caret = ''] = formatDiagnostic(
    finding(1, 4, { excerpt: '\t\u{1f332}x<packges>' }),
  ).split('\n')
  t.is(line, '    \t\u{1f332}x<packges>')
  t.is(caret, '    \t  ^')
})

test('a long line is cut around the place', t => {
  const [, line = '', caret = ''] = formatDiagnostic(
    finding(1, 1001, { excerpt: `${'a'.repeat(1000)}X${'b'.repeat(1000)}` }),
  ).split('\n')
  t.is(line.length, 124)
  t.is(line.charAt(caret.length - 1), 'X')
})

test('what would act on a terminal is not printed', t => {
  t.false(formatDiagnostic(finding(1, 1, { excerpt: '\u001b[31mred\u202e' })).includes('\u001b'))
})

test('findings are sorted by place and equal ones are told once', t => {
  const sorted = sortDiagnostics([finding(10, 1), finding(9, 7), finding(9, 2), finding(9, 7)])
  t.deepEqual(
    sorted.map(({ where }) => [where.line, where.column]),
    [
      [9, 2],
      [9, 7],
      [10, 1],
    ],
  )
})
