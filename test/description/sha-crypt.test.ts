import { execFileSync } from 'node:child_process'
import test from 'ava'
import { deriveSalt, sha512Crypt } from '../../src/description/sha-crypt.ts'
import { testWith } from '../helpers/needs.ts'

// The first three are from the specification itself.
const vectors: readonly { password: string; salt: string; rounds?: number; hash: string }[] = [
  {
    password: 'Hello world!',
    salt: 'saltstring',
    hash: '$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1',
  },
  {
    password: 'Hello world!',
    salt: 'saltstringsaltstring',
    rounds: 10_000,
    hash: '$6$rounds=10000$saltstringsaltst$OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v.',
  },
  {
    password: 'the minimum number is still observed',
    salt: 'roundstoolow',
    rounds: 10,
    hash: '$6$rounds=1000$roundstoolow$kUMsbe306n21p9R.FRkW3IGn.S9NPN0x50YhH1xhLsPuWGsUSklZt58jaTfF4ZEQpyUNGc0dqbpBYYBaHHrsX.',
  },
]

for (const { password, salt, rounds, hash } of vectors)
  test(`the hash of "${password}" with the salt ${salt} is that of the specification`, t => {
    t.is(sha512Crypt(password, salt, rounds), hash)
  })

testWith({ programs: ['openssl'] })('hashes are those that openssl makes', t => {
  const passwords = [
    'a',
    'secret',
    'pass word: "quoted" $HOME',
    'grün🌲',
    'x'.repeat(63),
    'x'.repeat(64),
    'y'.repeat(130),
  ]
  for (const [index, password] of passwords.entries()) {
    const salt = deriveSalt('test', String(index))
    const openssl = execFileSync('openssl', ['passwd', '-6', '-salt', salt, '-stdin'], {
      input: `${password}\n`,
      encoding: 'utf8',
    }).trim()
    t.is(sha512Crypt(password, salt), openssl, password)
  }
})

test('a derived salt repeats, and differs for other words', t => {
  t.is(deriveSalt('image', 'root'), deriveSalt('image', 'root'))
  t.not(deriveSalt('image', 'root'), deriveSalt('image', 'tux'))
  t.not(deriveSalt('ab', 'c'), deriveSalt('a', 'bc'))
  t.regex(deriveSalt('image', 'root'), /^[./0-9A-Za-z]{16}$/)
})
