import test from 'ava'
import { KauriError } from '../../src/core/errors.ts'
import type { BuildMount, RunStep } from '../../src/plan/plan.ts'
import { historyTexts, type LoweringOptions, lowerText, runSteps } from '../helpers/lowering.ts'

async function run(lines: string, options: LoweringOptions = {}): Promise<RunStep> {
  const { result } = await lowerText(`FROM a AS base\nFROM a\n${lines}\n`, options)
  const step = runSteps(result).at(-1)
  if (step === undefined) throw new Error('no RUN')
  return step
}

const shell = ['/bin/sh', '-c']

for (const { title, lines, want } of [
  { title: 'a text goes to the shell', lines: 'RUN a  "b" $c', want: [...shell, 'a  "b" $c'] },
  { title: 'a JSON list is a program', lines: 'RUN ["a", "$b c"]', want: ['a', '$b c'] },
  { title: 'what is no JSON goes to the shell', lines: "RUN ['a']", want: [...shell, "['a']"] },
  {
    title: 'continued lines are one, with their white space',
    lines: 'RUN a \\\n    b \\\n# comment\n  c',
    want: [...shell, 'a     b   c'],
  },
  {
    title: 'SHELL is what text goes to',
    lines: 'SHELL ["/bin/bash", "-euo", "pipefail", "-c"]\nRUN a | b',
    want: ['/bin/bash', '-euo', 'pipefail', '-c', 'a | b'],
  },
  { title: 'a program knows nothing of SHELL', lines: 'SHELL ["x"]\nRUN ["a"]', want: ['a'] },
  {
    title: 'a here-document alone is what the shell gets',
    lines: 'RUN <<EOF\na $b\n\tc\nEOF',
    want: [...shell, 'a $b\n\tc\n'],
  },
  {
    title: 'a dash takes leading tabs away',
    lines: 'RUN <<-EOF\n\ta\n\t\tb\n\tEOF',
    want: [...shell, 'a\nb\n'],
  },
  {
    title: 'a here-document of a command is put together again',
    lines: 'RUN cat <<EOF > /f\na\nEOF',
    want: [...shell, 'cat <<EOF > /f\na\nEOF'],
  },
  {
    title: 'so are several',
    lines: 'RUN cat <<A 3<<"B"\n1\nA\n2\nB',
    want: [...shell, 'cat <<A 3<<"B"\n1\nA\n2\nB'],
  },
  {
    title: 'here-documents go to SHELL, too',
    lines: 'SHELL ["/bin/ash", "-c"]\nRUN <<EOF\na\nEOF',
    want: ['/bin/ash', '-c', 'a\n'],
  },
  { title: 'RUN alone is an empty text', lines: 'RUN', want: [...shell, ''] },
])
  test(title, async t => {
    const step = await run(lines)
    t.deepEqual(step.command, want)
    t.deepEqual(step.mounts, [])
  })

test('a here-document with an interpreter is a program that is there while it runs', async t => {
  const { result } = await lowerText(
    'FROM a\nRUN <<"script.py"\n#!/usr/bin/python3\nprint($x)\nscript.py\n',
  )
  const [step] = runSteps(result)
  t.deepEqual(step?.command, ['/dev/pipes/script.py'])
  t.deepEqual(JSON.parse(JSON.stringify(step?.mounts)), [
    {
      target: '/dev/pipes/script.py',
      content: { kind: 'text', text: '#!/usr/bin/python3\nprint($x)\n', mode: 0o755 },
    },
  ])
  t.deepEqual(historyTexts(result), ['RUN /dev/pipes/script.py # buildkit'])
})

test('the interpreter counts after tabs are taken away', async t => {
  const step = await run('RUN <<-EOF\n\t#!/bin/sh\n\techo\n\tEOF')
  t.deepEqual(step.command, ['/dev/pipes/EOF'])
})

test('the script of a here-document cannot be put anywhere else', async t => {
  await t.throwsAsync(run('RUN <<../../etc/x\n#!/bin/sh\n../../etc/x'), {
    message: /a script cannot be called/,
  })
})

test('a program runs as the user and in the directory of the instructions before', async t => {
  const step = await run('USER me:staff\nWORKDIR /a\nWORKDIR b\nRUN x')
  t.is(step.user, 'me:staff')
  t.is<string, string>(step.directory, '/a/b')
  const plain = await run('RUN x')
  t.is(plain.user, '')
  t.is<string, string>(plain.directory, '/')
  t.is(plain.hostname, undefined)
})

test('the name of the sandbox comes from a build argument', async t => {
  const buildArgs = new Map([['BUILDKIT_SANDBOX_HOSTNAME', 'builder']])
  t.is((await run('RUN x', { buildArgs })).hostname, 'builder')
})

for (const [flag, network, want] of [
  ['', 'bridge', 'bridge'],
  ['', 'none', 'none'],
  ['', 'host', 'host'],
  ['--network=default ', 'none', 'none'],
  ['--network=none ', 'host', 'none'],
  ['--network=host ', 'host', 'host'],
] as const)
  test(`RUN ${flag}of a build with network ${network} has network ${want}`, async t => {
    t.is((await run(`RUN ${flag}x`, { network })).network, want)
  })

for (const [flag, entitlement] of [
  ['--network=host', 'network.host'],
  ['--security=insecure', 'security.insecure'],
] as const) {
  test(`RUN ${flag} is refused unless the caller allows it`, async t => {
    const error = await t.throwsAsync(run(`RUN ${flag} x`), {
      instanceOf: KauriError,
      message: `entitlement ${entitlement} is not allowed`,
    })
    t.is(error.code, 'PERMISSION_DENIED')
    t.is(error.where?.line, 3)
    t.regex(error.hint ?? '', new RegExp(`--allow ${entitlement}`))
  })
  test(`RUN ${flag} is done where the caller allows it`, async t => {
    const step = await run(`RUN ${flag} x`, { allow: new Set([entitlement]) })
    const isHost = entitlement === 'network.host'
    t.is(step.network, isHost ? 'host' : 'bridge')
    t.is(step.security, isHost ? 'sandbox' : 'insecure')
  })
}

test('a stage that is not needed may ask for anything', async t => {
  await t.notThrowsAsync(lowerText('FROM a\nRUN --network=host x\nFROM b\n'))
})

test('a device that is required is refused, one that is not is not there', async t => {
  const error = await t.throwsAsync(run('RUN --device=vendor/gpu,required x'), {
    instanceOf: KauriError,
  })
  t.is(error.code, 'UNSUPPORTED')
  await t.notThrowsAsync(run('RUN --device=vendor/gpu x'))
})

async function mount(flag: string, options: LoweringOptions = {}): Promise<BuildMount | undefined> {
  const head = 'WORKDIR /w\nENV V=v N=5\n'
  const step = await run(`${head}RUN --mount=${flag} x`, options)
  return JSON.parse(JSON.stringify(step.buildMounts?.[0])) as BuildMount
}

const context = { kind: 'context', context: 'context' }
const stage = { kind: 'stage', stage: 'base' }
const root = { uid: 0, gid: 0 }

for (const [flag, want] of [
  ['target=/t', { kind: 'bind', target: '/t', from: context, source: '/', writable: false }],
  [
    'type=bind,dst=t,src=$V/a,rw',
    { kind: 'bind', target: '/w/t', from: context, source: '/v/a', writable: true },
  ],
  [
    'from=base,source=../../a,target=/t/../u',
    { kind: 'bind', target: '/u', from: stage, source: '/a', writable: false },
  ],
  ['type=tmpfs,target=/t', { kind: 'tmpfs', target: '/t' }],
  ['type=tmpfs,target=/t,size=2m', { kind: 'tmpfs', target: '/t', sizeBytes: 2_097_152 }],
  [
    'type=cache,target=/c/',
    {
      kind: 'cache',
      target: '/c',
      id: '//c',
      sharing: 'shared',
      writable: true,
      source: '/',
      mode: 0o755,
      ...root,
    },
  ],
  [
    'type=cache,target=c/./d,ro,sharing=locked,mode=0700,uid=$N,gid=6',
    {
      kind: 'cache',
      target: '/w/c/d',
      id: '/c/d',
      sharing: 'locked',
      writable: false,
      source: '/',
      mode: 0o700,
      uid: 5,
      gid: 6,
    },
  ],
  [
    'type=cache,id=../../../etc,target=/c,from=base,source=/s',
    {
      kind: 'cache',
      target: '/c',
      id: '/../../../etc',
      sharing: 'shared',
      writable: true,
      from: stage,
      source: '/s',
      mode: 0o755,
      ...root,
    },
  ],
  [
    'type=secret,id=a/b',
    {
      kind: 'secret',
      id: 'a/b',
      target: '/run/secrets/b',
      required: false,
      mode: 0o400,
      ...root,
    },
  ],
  [
    'type=secret,target=/etc/key,required,mode=0440,uid=1',
    {
      kind: 'secret',
      id: 'key',
      target: '/etc/key',
      required: true,
      mode: 0o440,
      uid: 1,
      gid: 0,
    },
  ],
  [
    'type=secret,id=a,env=TOKEN',
    { kind: 'secret', id: 'a', variable: 'TOKEN', required: false, mode: 0o400, ...root },
  ],
  [
    'type=secret,id=a,env=TOKEN,target=s',
    {
      kind: 'secret',
      id: 'a',
      target: '/w/s',
      variable: 'TOKEN',
      required: false,
      mode: 0o400,
      ...root,
    },
  ],
  [
    'type=ssh',
    {
      kind: 'ssh',
      id: 'default',
      target: '/run/buildkit/ssh_agent.0',
      required: false,
      mode: 0o600,
      ...root,
    },
  ],
  [
    'type=ssh,id=k,target=/s,required=true,mode=0666,uid=7,gid=8',
    { kind: 'ssh', id: 'k', target: '/s', required: true, mode: 0o666, uid: 7, gid: 8 },
  ],
] as const)
  test(`RUN --mount=${flag} is lowered`, async t => {
    t.deepEqual<unknown, unknown>(await mount(flag), want)
  })

test('ids of caches are put into the namespace that a build argument names', async t => {
  const buildArgs = new Map([['BUILDKIT_CACHE_MOUNT_NS', 'team']])
  const found = await mount('type=cache,target=/c', { buildArgs })
  t.is(found?.kind === 'cache' ? found.id : '', 'team//c')
})

test('sockets of several ssh mounts have names of their own', async t => {
  const step = await run('RUN --mount=type=ssh --mount=type=ssh,id=b x')
  t.deepEqual(
    (step.buildMounts ?? []).map(one => (one.kind === 'ssh' ? String(one.target) : '')),
    ['/run/buildkit/ssh_agent.0', '/run/buildkit/ssh_agent.1'],
  )
})

for (const [flag, message] of [
  ['type=tmpfs,target=/', 'invalid mount target "/"'],
  ['type=cache,target=/a/..', 'invalid mount target "/"'],
  ['type=ssh,source=/a', 'ssh does not support source'],
  ['type=bind,target=/t,uid=1', 'uid not allowed for "bind" type mounts'],
  ['type=secret', 'invalid secret mount. one of source, target required'],
  ['type=cache,target=/c,sharing=no', 'unsupported sharing value "no"'],
  ['type=cache,target=/c,mode=$V', 'invalid value v for mode'],
] as const)
  test(`RUN --mount=${flag} is refused`, async t => {
    const error = await t.throwsAsync(mount(flag), { instanceOf: KauriError, message })
    t.is(error.where?.line, 5)
  })

test('a variable in the source of a mount is refused', async t => {
  await t.throwsAsync(mount('from=$V,target=/t'), {
    message: /'from' doesn't support variable expansion, define alias stage instead$/,
  })
})

test('values of secrets are in no title', async t => {
  const step = await run('ENV TOKEN=no\nRUN --mount=type=secret,id=a,env=TOKEN echo $TOKEN $V')
  t.is(step.title, '[stage-1 2/2] RUN --mount=type=secret,id=a,env=TOKEN echo **** $V')
})
