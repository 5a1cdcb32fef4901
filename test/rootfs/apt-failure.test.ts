import test from 'ava'
import { explainFailure, explainUnknown, plainName } from '../../src/rootfs/apt-failure.ts'

const at = (line: number): { file: string; line: number; column: number } => ({
  file: 'config.xml',
  line,
  column: 5,
})
const requests = [
  { name: 'curll', where: at(10) },
  { name: 'bash=1.0', where: at(11) },
  { name: 'mail-transport-agent', where: at(12) },
]
const lookup = {
  names: async () => ['curl', 'bash', 'coreutils'],
  versions: async () => ['5.2.15-2+b13'],
}

test('all missing packages are told, the first with its position and what may be meant', async t => {
  const error = await explainFailure(
    {
      stdout: `Package mail-transport-agent is a virtual package provided by:
  postfix 3.7
  exim4-daemon-light 4.96

`,
      stderr: `E: Unable to locate package curll
E: Version '1.0' for 'bash' was not found
E: Package 'mail-transport-agent' has no installation candidate
`,
      requests,
    },
    lookup,
  )
  t.is(error.code, 'PACKAGE_NOT_FOUND')
  t.deepEqual(error.where, at(10))
  t.is(error.hint, 'did you mean curl?')
  t.deepEqual(
    error.diagnostics.map(({ message, hint, where }) => [message, hint, where.line]),
    [
      ['there is no package curll in the repositories', 'did you mean curl?', 10],
      ['package bash has no version 1.0', 'there is 5.2.15-2+b13', 11],
      [
        'mail-transport-agent is not a package itself; it is provided by postfix, exim4-daemon-light',
        'name one of them',
        12,
      ],
    ],
  )
})

test("unmet dependencies are told in apt's words, at the package that has them", async t => {
  const error = await explainFailure(
    {
      stdout: `The following packages have unmet dependencies:
 bash : Depends: libc6 (>= 9) but 2.36 is to be installed
E: x
`,
      stderr: 'E: Unable to correct problems, you have held broken packages.\n',
      requests,
    },
    lookup,
  )
  t.is(error.code, 'PACKAGE_CONFLICT')
  t.true(error.message.includes('bash : Depends: libc6 (>= 9) but 2.36 is to be installed'))
  t.deepEqual(error.where, at(11))
})

test('anything else is told with its last lines', async t => {
  const error = await explainFailure({ stdout: '', stderr: 'E: odd\n', requests }, lookup)
  t.is(error.message, 'the packages do not fit together:\nodd')
})

test('names that no list has are found without asking apt', t => {
  const known = ['curl', 'bash', 'mail-transport-agent']
  t.is(explainUnknown([{ name: 'bash=5:any' }, { name: 'curl:amd64' }], known), undefined)
  t.is(explainUnknown(requests, known)?.hint, 'did you mean curl?')
})

for (const [request, name] of [
  ['bash', 'bash'],
  ['bash=1:2', 'bash'],
  ['bash/sid', 'bash'],
  ['libc6:i386=2', 'libc6'],
] as const)
  test(`plain name of ${request}`, t => {
    t.is(plainName(request), name)
  })
