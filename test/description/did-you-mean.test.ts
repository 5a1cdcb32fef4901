import test from 'ava'
import { nearestWord } from '../../src/description/did-you-mean.ts'

const words = ['packages', 'package', 'profile', 'profiles', 'repository', 'users', 'type', 'id']

const cases: readonly { written: string; meant: string | undefined }[] = [
  { written: 'packges', meant: 'packages' },
  { written: 'pakcage', meant: 'package' },
  { written: 'Packages', meant: 'packages' },
  { written: 'repositry', meant: 'repository' },
  { written: 'repostiroy', meant: 'repository' },
  { written: 'user', meant: 'users' },
  { written: 'tpye', meant: 'type' },
  { written: 'colour', meant: undefined },
  { written: 'xy', meant: undefined },
  { written: '', meant: undefined },
  { written: 'p'.repeat(10_000), meant: undefined },
]

for (const { written, meant } of cases)
  test(`"${written.slice(0, 20)}" ${meant === undefined ? 'is near nothing' : `means ${meant}`}`, t => {
    t.is(nearestWord(written, words), meant)
  })
