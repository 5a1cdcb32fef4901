import { setTimeout as sleep } from 'node:timers/promises'
import test from 'ava'
import type { CommandInput, CommandSpec } from '../../src/cli/command.ts'
import { runProgram } from '../../src/cli/main.ts'
import type { CommandGroup } from '../../src/cli/registry.ts'
import { KauriError } from '../../src/core/errors.ts'
import { type FakeHost, fakeHost } from '../helpers/fake-host.ts'

const inputs = new WeakMap<FakeHost, CommandInput>()

/** Runs a line over commands that note what they were given. */
async function runLine(
  line: string,
  host: FakeHost,
  behave: (input: CommandInput) => Promise<number> = async () => 0,
): Promise<number> {
  const note = (spec: Omit<CommandSpec, 'run' | 'summary'>): CommandSpec => ({
    ...spec,
    summary: `Do ${spec.name}`,
    run: async input => {
      inputs.set(host, input)
      return await behave(input)
    },
  })
  const description = { long: 'description', value: 'DIR', summary: 's', required: true }
  const profile = { long: 'profile', value: 'P', repeat: true, summary: 's' }
  const specs = [
    note({ name: 'images', options: [], operands: '[NAME]', maxOperands: 1 }),
    note({ name: 'system build', options: [description, profile] }),
    note({ name: 'system prepare', options: [description] }),
    note({
      name: 'run',
      operands: 'IMAGE [CMD...]',
      minOperands: 1,
      stopsAtOperand: true,
      containerExitCodes: true,
      options: [
        { long: 'rm', summary: 's' },
        { long: 'hostname', short: 'h', value: 'NAME', summary: 's' },
      ],
    }),
  ]
  const groups: CommandGroup[] = [
    {
      title: 'Commands',
      commands: Object.fromEntries(specs.map(command => [command.name, async () => ({ command })])),
    },
  ]
  return await runProgram(line.split(' ').filter(Boolean), host, groups)
}

const recognised: readonly {
  readonly line: string
  readonly texts?: Record<string, string>
  readonly positionals?: readonly string[]
}[] = [
  { line: 'images' },
  { line: 'images debian', positionals: ['debian'] },
  { line: '--data-root /x images', texts: { 'data-root': '/x' } },
  {
    line: '--data-root images images images',
    texts: { 'data-root': 'images' },
    positionals: ['images'],
  },
  { line: 'system build --description d', texts: { description: 'd' } },
  { line: '--description d system build', texts: { description: 'd' } },
  { line: 'system --description d build', texts: { description: 'd' } },
  {
    line: '--profile build system build --description system',
    texts: { profile: 'build', description: 'system' },
  },
  { line: 'run images', positionals: ['images'] },
  { line: 'run --rm i sh -c --rm --help', positionals: ['i', 'sh', '-c', '--rm', '--help'] },
  { line: 'run -h name i', texts: { hostname: 'name' }, positionals: ['i'] },
]

for (const { line, texts = {}, positionals = [] } of recognised) {
  test(`'kauri ${line}' is recognised`, async t => {
    const host = fakeHost()
    t.is(await runLine(line, host), 0, host.err())
    const input = inputs.get(host)
    t.deepEqual(input?.positionals, positionals)
    for (const [name, value] of Object.entries(texts)) t.is(input?.options.text(name), value)
  })
}

const refused: readonly { readonly line: string; readonly status: number; readonly err: string }[] =
  [
    {
      line: 'imags',
      status: 2,
      err: "kauri: unknown command 'imags'\nhint: did you mean kauri images?\n",
    },
    {
      line: 'frobnicate',
      status: 2,
      err: "kauri: unknown command 'frobnicate'\nhint: see kauri --help\n",
    },
    {
      line: 'system',
      status: 2,
      err: "kauri: 'system' is half a command\nhint: see kauri system --help\n",
    },
    {
      line: 'system biuld',
      status: 2,
      err: "kauri: unknown command 'system biuld'\nhint: did you mean kauri system build?\n",
    },
    { line: 'system build', status: 2, err: 'kauri: --description DIR is required\n' },
    {
      line: '--nope images',
      status: 2,
      err: 'kauri: unknown option --nope\nhint: see --help for the options\n',
    },
    {
      line: '--jsno',
      status: 2,
      err: 'kauri: unknown option --jsno\nhint: did you mean --json?\n',
    },
    { line: '--json', status: 2, err: 'kauri: no command is given\nhint: see kauri --help\n' },
    {
      line: 'images a b',
      status: 2,
      err: "kauri: images takes no further word 'b'\nhint: usage: kauri images [OPTIONS] [NAME]\n",
    },
    {
      line: 'run',
      status: 125,
      err: 'kauri: run needs IMAGE [CMD...]\nhint: usage: kauri run [OPTIONS] IMAGE [CMD...]\n',
    },
    {
      line: 'run --nope i',
      status: 125,
      err: 'kauri: unknown option --nope\nhint: see --help for the options\n',
    },
  ]

for (const { line, status, err } of refused) {
  test(`'kauri ${line}' is refused with status ${status}`, async t => {
    const host = fakeHost()
    t.is(await runLine(line, host), status)
    t.is(host.err(), err)
    t.is(host.out(), '')
    t.false(inputs.has(host))
  })
}

test('nothing at all shows the commands on standard error, as a usage error', async t => {
  const host = fakeHost()
  t.is(await runLine('', host), 2)
  t.true(host.err().includes('system build  '))
  t.is(host.out(), '')
})

test('help goes to standard output, of all commands, some, or one', async t => {
  const all = fakeHost()
  t.is(await runLine('--help', all), 0)
  t.true(all.out().includes('images'))
  const some = fakeHost()
  t.is(await runLine('system -h', some), 0)
  t.true(some.out().includes('system prepare'))
  t.false(some.out().includes('images'))
  const one = fakeHost()
  t.is(await runLine('system build --help', one), 0)
  t.true(one.out().includes('--description DIR'))
  t.false(inputs.has(one))
})

for (const line of ['--json --version', '--debug -v', 'images --version'])
  test(`'kauri ${line}' shows the version`, async t => {
    const host = fakeHost()
    t.is(await runLine(line, host), 0)
    t.regex(host.out(), /^kauri \d+\.\d+\.\d+\n$/)
  })

test("a command's own -h is not help, and its help does not promise it", async t => {
  const host = fakeHost()
  await runLine('run --help', host)
  t.true(host.out().includes('-h, --hostname NAME'))
  t.false(host.out().includes('-h, --help'))
})

const statuses: readonly {
  readonly error: unknown
  readonly images: number
  readonly run: number
}[] = [
  { error: new KauriError('SCRIPT_FAILED', 'm'), images: 1, run: 125 },
  { error: new KauriError('DESCRIPTION_INVALID', 'm'), images: 2, run: 125 },
  { error: new KauriError('COMMAND_NOT_FOUND', 'm'), images: 127, run: 127 },
  { error: new KauriError('COMMAND_NOT_EXECUTABLE', 'm'), images: 126, run: 126 },
  { error: new TypeError('bug'), images: 1, run: 125 },
]

for (const { error, images, run } of statuses) {
  const code = error instanceof KauriError ? error.code : 'a bug'
  test(`${code} has status ${images}, and ${run} where codes are the container's`, async t => {
    const behave = async (): Promise<never> => {
      throw error
    }
    t.is(await runLine('images', fakeHost(), behave), images)
    t.is(await runLine('run i', fakeHost(), behave), run)
  })
}

test('the status of the command is the status of the program', async t => {
  t.is(await runLine('run i', fakeHost(), async () => 42), 42)
})

test('a result is lines, or JSON where it is asked for, never both', async t => {
  const behave = async ({ context }: CommandInput): Promise<number> => {
    context.print('one')
    context.print('two')
    context.printJson({ names: ['one', 'two'] })
    return 0
  }
  const lines = fakeHost()
  await runLine('images', lines, behave)
  t.is(lines.out(), 'one\ntwo\n')
  const json = fakeHost()
  await runLine('images --json', json, behave)
  t.deepEqual(JSON.parse(json.out()), { names: ['one', 'two'] })
})

const interrupts = [
  { name: 'SIGINT', status: 130 },
  { name: 'SIGTERM', status: 143 },
  { name: 'SIGHUP', status: 129 },
] as const

for (const { name, status } of interrupts) {
  test(`${name} aborts the work, which undoes itself, and ends with ${status}`, async t => {
    const host = fakeHost()
    let undone = false
    const running = runLine('images', host, async ({ context }) => {
      try {
        await sleep(60_000, undefined, { signal: context.signal })
      } finally {
        undone = true
      }
      return 0
    })
    await sleep(20)
    host.interrupt(name)
    t.is(await running, status)
    t.true(undone)
    t.is(host.err(), `kauri: stopped by ${name}\n`)
    t.deepEqual(host.exits, [])
  })
}

test('a failure while an interrupt is undone is told below it', async t => {
  const host = fakeHost()
  const running = runLine('images', host, async ({ context }) => {
    await sleep(60_000, undefined, { signal: context.signal }).catch(() => {})
    throw new KauriError('DISK_FULL', 'no space left')
  })
  await sleep(20)
  host.interrupt('SIGINT')
  t.is(await running, 130)
  t.is(host.err(), 'kauri: stopped by SIGINT\n  because: no space left\n')
})

test('one Ctrl-C that arrives twice is one, a second one exits at once', async t => {
  const host = fakeHost()
  const ending = Promise.withResolvers<void>()
  const running = runLine('images', host, async ({ context }) => {
    await ending.promise
    return context.signal.aborted ? 3 : 0
  })
  await sleep(10)
  host.interrupt('SIGINT')
  host.interrupt('SIGINT')
  t.deepEqual(host.exits, [])
  await sleep(500)
  host.interrupt('SIGINT')
  t.deepEqual(host.exits, [130])
  ending.resolve()
  t.is(await running, 3)
})

test('a command that takes the signals gets them, until it lets go', async t => {
  const host = fakeHost()
  const seen: string[] = []
  await runLine('run i', host, async ({ context }) => {
    {
      using _ = context.takeSignals(name => seen.push(name))
      host.interrupt('SIGTERM')
      t.false(context.signal.aborted)
    }
    host.interrupt('SIGTERM')
    t.true(context.signal.aborted)
    return 0
  })
  t.deepEqual(seen, ['SIGTERM'])
})

const places: readonly {
  readonly userId: number
  readonly environment: Record<string, string>
  readonly line: string
  readonly dataRoot: string
  readonly runRoot: string
}[] = [
  { userId: 0, environment: {}, line: 'images', dataRoot: '/var/lib/kauri', runRoot: '/run/kauri' },
  {
    userId: 1000,
    environment: { HOME: '/home/a' },
    line: 'images',
    dataRoot: '/home/a/.local/share/kauri',
    runRoot: '/tmp/kauri-run-1000/kauri',
  },
  {
    userId: 1000,
    environment: { HOME: '/home/a', XDG_DATA_HOME: '/d', XDG_RUNTIME_DIR: '/run/user/1000' },
    line: 'images ',
    dataRoot: '/d/kauri',
    runRoot: '/run/user/1000/kauri',
  },
  {
    userId: 0,
    environment: { KAURI_DATA_ROOT: '/e', KAURI_RUN_ROOT: '/r' },
    line: 'images x',
    dataRoot: '/e',
    runRoot: '/r',
  },
  {
    userId: 0,
    environment: { KAURI_DATA_ROOT: '/e' },
    line: 'images --data-root /f/../g',
    dataRoot: '/g',
    runRoot: '/run/kauri',
  },
]

for (const { userId, environment, line, dataRoot, runRoot } of places) {
  test(`state of '${line}' for user ${userId} is in ${dataRoot}`, async t => {
    const host = fakeHost({ userId, environment })
    await runLine(line, host)
    t.is(inputs.get(host)?.context.dataRoot, dataRoot)
    t.is(inputs.get(host)?.context.runRoot, runRoot)
  })
}

test('--quiet shows no progress, but warnings', async t => {
  const behave = async ({ context }: CommandInput): Promise<number> => {
    context.emit({ kind: 'step-started', id: '1', title: 'work' })
    context.emit({ kind: 'warning', message: 'careful' })
    return 0
  }
  const quiet = fakeHost()
  await runLine('images -q', quiet, behave)
  t.is(quiet.err(), 'warning: careful\n')
  const plain = fakeHost()
  await runLine('images', plain, behave)
  t.is(plain.err(), 'work …\nwarning: careful\n')
  const json = fakeHost()
  await runLine('images --progress json', json, behave)
  t.is(json.err().split('\n')[0], '{"kind":"step-started","id":"1","title":"work"}')
})
