import test from 'ava'
import { defaultDetachKeys, detachFilter, parseDetachKeys } from '../../src/cli/detach-keys.ts'

for (const { text, want } of [
  { text: defaultDetachKeys, want: [16, 17] },
  { text: 'ctrl-a,x', want: [1, 120] },
  { text: 'ctrl-[', want: [27] },
  { text: 'CTRL-@', want: [0] },
])
  test(`the keys ${text} are read`, t => {
    t.deepEqual([...parseDetachKeys(text)], want)
  })

for (const text of ['', 'ctrl-', 'ctrl-é', 'ab', 'a,', 'é'])
  test(`the keys ${JSON.stringify(text)} are refused`, t => {
    t.throws(() => parseDetachKeys(text), { code: 'USAGE' })
  })

test('keys are found in one piece and in several, and what only began like them is passed on', t => {
  const keys = parseDetachKeys('ctrl-p,ctrl-q')
  const feed = (...pieces: readonly string[]): string => {
    const filter = detachFilter(keys)
    let passed = ''
    for (const piece of pieces) {
      const { bytes, isDetached } = filter(Buffer.from(piece, 'latin1'))
      passed += Buffer.from(bytes).toString('latin1')
      if (isDetached) return `${passed}|`
    }
    return passed
  }
  t.is(feed('ab\x10\x11cd'), 'ab|')
  t.is(feed('ab\x10', '\x11'), 'ab|')
  t.is(feed('\x10', 'x', '\x10\x10\x11'), '\x10x\x10|')
  t.is(feed('\x11\x10'), '\x11')
})
