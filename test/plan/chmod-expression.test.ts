import test from 'ava'
import { parseChmod } from '../../src/plan/chmod-expression.ts'

for (const [text, before, after, isDirectory = false] of [
  ['755', 0o644, 0o755],
  ['0', 0o777, 0],
  ['04755', 0o644, 0o4755],
  ['1777', 0o755, 0o1777, true],
  ['u=rwx,go=rx', 0o600, 0o755],
  ['u=rwX,go=rX', 0o600, 0o644],
  ['u=rwX,go=rX', 0o700, 0o755],
  ['u=rwX,go=rX', 0o600, 0o755, true],
  ['+x', 0o644, 0o755],
  ['a+x', 0o644, 0o755],
  ['go-rwx', 0o755, 0o700],
  ['=r', 0o4755, 0o444],
  ['u=', 0o755, 0o055],
  ['g=u', 0o740, 0o770],
  ['go=u-w', 0o755, 0o755],
  ['o=g', 0o750, 0o755],
  ['u+s', 0o755, 0o4755],
  ['g+s', 0o755, 0o2755],
  ['+s', 0o755, 0o6755],
  ['o+s', 0o755, 0o755],
  ['+t', 0o755, 0o1755],
  ['u=rw', 0o4711, 0o611],
  ['u+x,g-w', 0o664, 0o744],
  ['a-X', 0o755, 0o644],
  ['u+r-w', 0o300, 0o500],
] as const)
  test(`${text} makes ${after.toString(8)} of ${before.toString(8)}${isDirectory ? ' of a directory' : ''}`, t => {
    t.is(parseChmod(text).apply(before, isDirectory).toString(8), after.toString(8))
  })

test('only a number is also for directories that are made on the way', t => {
  t.is(parseChmod('0750').octal, 0o750)
  t.is(parseChmod('u=rwx').octal, undefined)
})

for (const text of ['10000', '8', '7778', '0x1ff', '99999999999'])
  test(`${text} is no octal mode`, t => {
    t.throws(() => parseChmod(text), {
      code: 'DESCRIPTION_INVALID',
      message: `invalid chmod parameter: '${text}'. it should be octal string and between 0 and 07777`,
    })
  })

for (const text of ['', 'rwx', 'u', 'u+q', 'u=rwx,', 'z=r', 'u=r w', '-755x'])
  test(`"${text}" is no mode`, t => {
    t.throws(() => parseChmod(text), { code: 'DESCRIPTION_INVALID', message: 'invalid syntax' })
  })
