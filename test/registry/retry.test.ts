import test from 'ava'
import { backOffMs, isPassingStatus, retryAfterMs } from '../../src/registry/retry.ts'

const nowMs = Date.parse('2026-01-02T03:04:05Z')

const headers = [
  { header: undefined, want: undefined },
  { header: '', want: undefined },
  { header: '0', want: 0 },
  { header: '12', want: 12_000 },
  { header: '1.5', want: 1500 },
  { header: 'Fri, 02 Jan 2026 03:04:15 GMT', want: 10_000 },
  { header: 'Fri, 02 Jan 2026 03:00:00 GMT', want: 0 },
  { header: '-5', want: undefined },
  { header: 'soon', want: undefined },
  { header: '99999999999999', want: undefined },
]

for (const { header, want } of headers)
  test(`Retry-After: ${header} means ${want} ms`, t => t.is(retryAfterMs(header, nowMs), want))

test('waits double up to the longest, and are a random part shorter', t => {
  const limits = { firstWaitMs: 100, longestWaitMs: 1000 }
  const longest = [0, 1, 2, 3, 4, 50].map(attempt => backOffMs(attempt, limits, () => 0))
  t.deepEqual(longest, [100, 200, 400, 800, 1000, 1000])
  t.is(
    backOffMs(0, limits, () => 1),
    50,
  )
})

test('what may pass is tried again, and nothing else', t => {
  t.deepEqual(
    [400, 401, 403, 404, 408, 413, 416, 429, 500, 501, 502, 503, 504, 522].filter(isPassingStatus),
    [408, 429, 500, 502, 503, 504, 522],
  )
})
