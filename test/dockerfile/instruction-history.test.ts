import test from 'ava'
import {
  goQuotedList,
  healthcheckText,
  historyLine,
  runText,
} from '../../src/dockerfile/instruction-history.ts'
import { historyTexts, lowerText } from '../helpers/lowering.ts'

for (const [nanoseconds, want] of [
  [1, '1ns'],
  [1500, '1.5µs'],
  [250e6, '250ms'],
  [1e9, '1s'],
  [1.5e9, '1.5s'],
  [90e9, '1m30s'],
  [600e9, '10m0s'],
  [3600e9, '1h0m0s'],
  [100 * 3600e9 + 0.25e9, '100h0m0.25s'],
] as const)
  test(`a duration of ${nanoseconds} ns is written as Go does: ${want}`, t => {
    const text = healthcheckText({ Test: ['CMD', 'a', 'b'], Interval: nanoseconds, Retries: 3 })
    t.is(
      text,
      `{Test:[CMD a b] Interval:${want} Timeout:0s StartPeriod:0s StartInterval:0s Retries:3}`,
    )
  })

test('lists are quoted as Go does', t => {
  t.is(goQuotedList(['a "b"', 'é\n']), String.raw`["a \"b\"" "é\n"]`)
  t.is(goQuotedList([]), '[]')
})

test('an argument that is declared twice is told once, with its last value', t => {
  const given = [
    ['A', '1'],
    ['B', ''],
    ['A', '2'],
  ] as const
  t.is(runText(['make'], given), '|2 A=2 B= make')
})

test('a line says what made it', t => {
  t.deepEqual(historyLine('RUN x', true), {
    created_by: 'RUN x # buildkit',
    comment: 'buildkit.dockerfile.v0',
  })
})

test('every instruction without files has its line', async t => {
  const { result } = await lowerText(
    [
      'FROM a',
      'ENV A=1 B="2 3"',
      'ENV C 4 5',
      'LABEL a=b c="d e"',
      'EXPOSE 90/UDP 80-81',
      'VOLUME /a /b',
      'USER me',
      'STOPSIGNAL SIGINT',
      'SHELL ["/bin/ash", "-c"]',
      'CMD ["a", "b c"]',
      'ENTRYPOINT x y',
      'HEALTHCHECK --interval=5m --retries=2 CMD a b',
      'HEALTHCHECK NONE',
      'MAINTAINER me',
      'ONBUILD RUN x',
      'ARG D E=1',
    ].join('\n'),
  )
  const none = 'Interval:0s Timeout:0s StartPeriod:0s StartInterval:0s Retries:0'
  t.deepEqual(historyTexts(result), [
    'ENV A=1 B=2 3',
    'ENV C=4 5',
    'LABEL a=b c=d e',
    'EXPOSE [80/tcp 81/tcp 90/udp]',
    'VOLUME [/a /b]',
    'USER me',
    'STOPSIGNAL SIGINT',
    'SHELL [/bin/ash -c]',
    'CMD ["a" "b c"]',
    'ENTRYPOINT ["/bin/ash" "-c" "x y"]',
    'HEALTHCHECK {Test:[CMD-SHELL a b] Interval:5m0s Timeout:0s StartPeriod:0s StartInterval:0s Retries:2}',
    `HEALTHCHECK {Test:[NONE] ${none}}`,
    'MAINTAINER me',
    'ARG D E=1',
  ])
})
