import test from 'ava'
import { durationNanoseconds, momentNanoseconds } from '../../src/cli/duration.ts'

const nowMs = Date.parse('2026-01-02T03:04:05Z')

for (const { text, want } of [
  { text: '0', want: 0n },
  { text: '1136073600', want: 1_136_073_600_000_000_000n },
  { text: '1136073600.000000001', want: 1_136_073_600_000_000_001n },
  { text: '10m', want: BigInt(nowMs - 600_000) * 1_000_000n },
  { text: '1h30m', want: BigInt(nowMs - 5_400_000) * 1_000_000n },
  { text: '2026-01-02T03:04:05Z', want: BigInt(nowMs) * 1_000_000n },
  { text: '2026-01-02T05:04:05.5+02:00', want: BigInt(nowMs) * 1_000_000n + 500_000_000n },
  { text: '2026-01-02T03Z', want: BigInt(nowMs - 245_000) * 1_000_000n },
])
  test(`the moment ${text} is understood`, t => {
    t.is(momentNanoseconds('--since', text, nowMs), want)
  })

for (const text of ['', 'yesterday', '2026-13-01', '1.1.1', '10 minutes', '-'])
  test(`the moment ${JSON.stringify(text)} is refused`, t => {
    t.throws(() => momentNanoseconds('--since', text, nowMs), { code: 'USAGE' })
  })

test('durations have a least, but for none at all', t => {
  const limits = { least: 1_000_000 }
  t.is(durationNanoseconds('--health-interval', '1ms', limits), 1_000_000)
  t.is(durationNanoseconds('--health-interval', '0', limits), 0)
  for (const text of ['1us', 'x', ''])
    t.throws(() => durationNanoseconds('--health-interval', text, limits), { code: 'USAGE' }, text)
})
