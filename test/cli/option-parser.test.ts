import test from 'ava'
import type { OptionSpec } from '../../src/cli/command.ts'
import { globalOptions } from '../../src/cli/global-options.ts'
import {
  checkRequired,
  optionTable,
  parsedOptions,
  scanWords,
} from '../../src/cli/option-parser.ts'

const options: readonly OptionSpec[] = [
  { long: 'rm', summary: 's' },
  { long: 'tty', short: 't', summary: 's' },
  { long: 'interactive', short: 'i', summary: 's' },
  { long: 'memory', short: 'm', value: 'MEM', summary: 's' },
  { long: 'env', short: 'e', value: 'K=V', repeat: true, summary: 's' },
  { long: 'hostname', short: 'h', value: 'NAME', summary: 's' },
  { long: 'network', value: 'MODE', choices: ['none', 'host'], summary: 's' },
]
const table = optionTable(options, globalOptions)

const understood: readonly {
  readonly words: string
  readonly values: Record<string, readonly (string | boolean)[]>
  readonly operands: readonly string[]
}[] = [
  { words: '', values: {}, operands: [] },
  { words: 'a b', values: {}, operands: ['a', 'b'] },
  { words: '--memory 64m a', values: { memory: ['64m'] }, operands: ['a'] },
  { words: '--memory=64m a', values: { memory: ['64m'] }, operands: ['a'] },
  { words: '--memory= a', values: { memory: [''] }, operands: ['a'] },
  { words: '--env A=B=C', values: { env: ['A=B=C'] }, operands: [] },
  { words: '--env=A=B', values: { env: ['A=B'] }, operands: [] },
  { words: '-m 64m', values: { memory: ['64m'] }, operands: [] },
  { words: '-m64m', values: { memory: ['64m'] }, operands: [] },
  { words: '-m=64m', values: { memory: ['64m'] }, operands: [] },
  { words: '-it a', values: { interactive: [true], tty: [true] }, operands: ['a'] },
  {
    words: '-itm 64m a',
    values: { interactive: [true], tty: [true], memory: ['64m'] },
    operands: ['a'],
  },
  { words: '-itm64m', values: { interactive: [true], tty: [true], memory: ['64m'] }, operands: [] },
  { words: '--rm=false', values: { rm: [false] }, operands: [] },
  { words: '--rm=true a', values: { rm: [true] }, operands: ['a'] },
  { words: 'a --rm b', values: { rm: [true] }, operands: ['a', 'b'] },
  { words: '-e A -e B --env C', values: { env: ['A', 'B', 'C'] }, operands: [] },
  { words: '- --rm', values: { rm: [true] }, operands: ['-'] },
  { words: '--memory -', values: { memory: ['-'] }, operands: [] },
  { words: '--memory -1', values: { memory: ['-1'] }, operands: [] },
  { words: '-- --rm -it', values: {}, operands: ['--rm', '-it'] },
  { words: '--rm -- -- a', values: { rm: [true] }, operands: ['--', 'a'] },
  { words: '-h host', values: { hostname: ['host'] }, operands: [] },
]

for (const { words, values, operands } of understood) {
  test(`'${words}' is understood`, t => {
    const scanned = scanWords(words.split(' ').filter(Boolean), table)
    t.is(scanned.problem, undefined)
    t.deepEqual(Object.fromEntries(scanned.values), values)
    t.deepEqual(scanned.operands, operands)
  })
}

const refused: readonly {
  readonly words: string
  readonly message: string
  readonly hint?: string
}[] = [
  { words: '--memry 3', message: 'unknown option --memry', hint: 'did you mean --memory?' },
  { words: '--zzzzz', message: 'unknown option --zzzzz', hint: 'see --help for the options' },
  { words: '-z', message: 'unknown option -z', hint: 'see --help for the options' },
  { words: '-itz', message: 'unknown option -z', hint: 'see --help for the options' },
  { words: '--memory', message: '--memory needs a value MEM' },
  { words: '-m', message: '-m needs a value MEM' },
  { words: '--rm=maybe', message: "--rm is a switch and takes no value 'maybe'" },
  { words: '-t=maybe', message: "-t is a switch and takes no value 'maybe'" },
  {
    words: '--memory --rm',
    message: '--memory needs a value MEM, but --rm follows',
    hint: 'write --memory=--rm if that is the value',
  },
  {
    words: '--network hst',
    message: "--network must be one of none, host, not 'hst'",
    hint: 'did you mean host?',
  },
]

for (const { words, message, hint } of refused) {
  test(`'${words}' is refused`, t => {
    const { problem } = scanWords(words.split(' '), table)
    t.is(problem?.code, 'USAGE')
    t.is(problem?.message, message)
    t.is(problem?.hint, hint)
  })
}

test('scanning goes on behind a problem, so that the command can still be recognised', t => {
  const { operands, problem } = scanWords(['--nope', 'system', 'build'], table)
  t.deepEqual(operands, ['system', 'build'])
  t.is(problem?.message, 'unknown option --nope')
})

test('options end behind the operand that ends them', t => {
  const scanned = scanWords(['run', '--rm', 'image', '--rm', '-x', '--'], table, {
    operandsBeforeEnd: 2,
  })
  t.deepEqual(scanned.operands, ['run', 'image', '--rm', '-x', '--'])
  t.deepEqual(scanned.values.get('rm'), [true])
  t.is(scanned.problem, undefined)
})

test('of a single option that was repeated the last one counts', t => {
  const { values } = scanWords(['-m1', '-m2', '--rm', '--rm=false'], table)
  const parsed = parsedOptions(values, table)
  t.is(parsed.text('memory'), '2')
  t.false(parsed.flag('rm'))
})

test('a repeatable option keeps the order of its values', t => {
  const { values } = scanWords(['-e', 'B', '-e', 'A'], table)
  t.deepEqual(parsedOptions(values, table).texts('env'), ['B', 'A'])
})

test('options that were not given are absent', t => {
  const parsed = parsedOptions(scanWords([], table).values, table)
  t.false(parsed.flag('rm'))
  t.is(parsed.text('memory'), undefined)
  t.deepEqual(parsed.texts('env'), [])
  t.throws(() => parsed.requiredText('memory'), { message: '--memory is required' })
})

test('asking for an option that no table has is a mistake of the program', t => {
  const parsed = parsedOptions(new Map(), table)
  t.throws(() => parsed.text('memori'), { code: 'INTERNAL' })
})

test('required options are asked for all at once', t => {
  const required: OptionSpec[] = [
    { long: 'description', value: 'DIR', required: true, summary: 's' },
    { long: 'target-dir', value: 'DIR', required: true, summary: 's' },
  ]
  t.throws(() => checkRequired(new Map(), required), {
    message: '--description DIR and --target-dir DIR are required',
  })
  t.notThrows(() =>
    checkRequired(
      new Map([
        ['description', ['a']],
        ['target-dir', ['b']],
      ]),
      required,
    ),
  )
})
