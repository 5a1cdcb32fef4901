import test from 'ava'
import { parseChallenges } from '../../src/registry/challenge.ts'

const cases = [
  { name: 'nothing', headers: [], want: [] },
  {
    name: 'a bearer challenge',
    headers: ['Bearer realm="https://auth.example.org/token",service="registry.example.org"'],
    want: [
      ['bearer', { realm: 'https://auth.example.org/token', service: 'registry.example.org' }],
    ],
  },
  {
    name: 'a comma and an escaped quote inside a value',
    headers: ['Bearer realm="https://a/t",service="a, \\"b\\"",scope="repository:x:pull,push"'],
    want: [
      ['bearer', { realm: 'https://a/t', service: 'a, "b"', scope: 'repository:x:pull,push' }],
    ],
  },
  {
    name: 'several challenges in one header',
    headers: ['Basic realm="one", Bearer realm="https://a/t",error="insufficient_scope"'],
    want: [
      ['basic', { realm: 'one' }],
      ['bearer', { realm: 'https://a/t', error: 'insufficient_scope' }],
    ],
  },
  {
    name: 'several headers, one with a token68',
    headers: ['Negotiate dG9rZW4=', 'NTLM', 'basic REALM=unquoted'],
    want: [
      ['negotiate', {}],
      ['ntlm', {}],
      ['basic', { realm: 'unquoted' }],
    ],
  },
  {
    name: 'spaces around equals signs, and empty elements',
    headers: [', ,Bearer realm = "https://a/t" , service = x ,, '],
    want: [['bearer', { realm: 'https://a/t', service: 'x' }]],
  },
  { name: 'an open quote', headers: ['Bearer realm="https://a/t'], want: [['bearer', {}]] },
  { name: 'bytes without meaning', headers: ['"\\"=,=;\u0000'], want: [] },
]

for (const { name, headers, want } of cases)
  test(`${name} is read`, t => {
    const found = parseChallenges(headers).map(({ scheme, parameters }) => [
      scheme,
      Object.fromEntries(parameters),
    ])
    t.deepEqual(found.slice(0, want.length), want)
  })

test('the first of two parameters of one name counts', t => {
  const [challenge] = parseChallenges(['Bearer realm="https://a",realm="https://b"'])
  t.is(challenge?.parameters.get('realm'), 'https://a')
})

test('a header that never ends is read no further than makes sense, and quickly', t => {
  const startedMs = performance.now()
  parseChallenges([`Bearer ${'a="\\'.repeat(1_000_000)}`])
  parseChallenges([' ,'.repeat(1_000_000), `Bearer ${'x '.repeat(500_000)}`])
  t.true(performance.now() - startedMs < 1000)
})
