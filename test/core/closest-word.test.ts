import test from 'ava'
import { closestWord } from '../../src/core/closest-word.ts'

const words = ['packages', 'package', 'image', 'images', 'user', 'users', 'run', 'rm', 'rmi']

const cases: readonly (readonly [typed: string, meant: string | undefined])[] = [
  ['packges', 'packages'],
  ['pakcage', 'package'],
  ['IMAGE', 'image'],
  ['iamges', 'images'],
  ['usr', 'user'],
  ['rum', 'run'],
  ['ru', 'run'],
  ['imag', 'image'],
  ['xyz', undefined],
  ['', undefined],
  ['completely-different', undefined],
]

for (const [typed, meant] of cases)
  test(`'${typed}' is taken for ${meant ?? 'nothing'}`, t => t.is(closestWord(typed, words), meant))

test('of equally near words the first is taken', t => {
  t.is(closestWord('ab', ['aa', 'bb']), 'aa')
})
