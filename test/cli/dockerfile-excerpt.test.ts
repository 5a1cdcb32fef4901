// The lines of a Dockerfile that a failure shows.

import test from 'ava'
import { excerptOf, withExcerpt } from '../../src/cli/dockerfile-excerpt.ts'
import { KauriError } from '../../src/core/errors.ts'

function linesOf(text: string, line: number): string[] {
  return excerptOf(text, { file: 'Dockerfile', line, column: 1 }).slice(2, -1)
}

test('an instruction is marked with all its lines, comments between them too, and some around are shown', t => {
  const text = 'FROM base\nRUN a \\\n# comment\n\n  b `\n  c\nCMD x\n'
  t.deepEqual(linesOf(text, 2), [
    '   1 |     FROM base',
    '   2 | >>> RUN a \\',
    '   3 | >>> # comment',
    '   4 | >>> ',
    '   5 | >>>   b `',
    '   6 | >>>   c',
    '   7 |     CMD x',
  ])
})

test('places outside of the text, and line ends of Windows, do no harm', t => {
  t.deepEqual(linesOf('FROM base\r\n', 99), ['   1 | >>> FROM base'])
  t.deepEqual(linesOf('', 1), ['   1 | >>> '])
  t.deepEqual(linesOf('RUN a \\', 1), ['   1 | >>> RUN a \\'])
})

test('of an endless instruction, and of an endless line, the beginning is shown', t => {
  const shown = linesOf(`RUN ${'x \\\n'.repeat(1000)}y\n`, 1)
  t.is(shown.length, 21)
  t.is(shown.at(-1), '     | >>> … 981 more lines')
  t.true((linesOf('x'.repeat(100_000), 1)[0]?.length ?? 0) < 400)
})

test('only errors about the file get its lines, and nothing of them is lost', t => {
  const dockerfile = { text: 'FROM x\n', name: 'Dockerfile' }
  const where = { file: 'Dockerfile', line: 1, column: 1 }
  const error = new KauriError('SCRIPT_FAILED', 'm', { where, hint: 'h', output: ['o'] })
  const shown = withExcerpt(error, dockerfile)
  t.like(shown, { code: 'SCRIPT_FAILED', message: 'm', hint: 'h', output: ['o'] })
  t.true(shown instanceof KauriError && shown.excerpt.length === 4)
  const other = new KauriError('SCRIPT_FAILED', 'm', { where: { ...where, file: 'config.xml' } })
  t.is(withExcerpt(other, dockerfile), other)
  const unexpected = new Error('x')
  t.is(withExcerpt(unexpected, dockerfile), unexpected)
})
