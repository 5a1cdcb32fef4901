// `kauri run`: what its words mean, what it refuses, and how it ends.

import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { testWith } from '../helpers/needs.ts'
import { useContainers } from '../helpers/run-containers.ts'
import { makeScratch } from '../helpers/scratch.ts'

const test = testWith({ root: true })
const { kauri, importRoot, run, printed } = useContainers()

for (const { title, args, want, message } of [
  { title: 'success', args: ['true'], want: 0, message: /^$/ },
  { title: "the command's own code", args: ['sh', '-c', 'exit 3'], want: 3, message: /^$/ },
  {
    title: '126 for a file that is no program',
    args: ['/etc/passwd'],
    want: 126,
    message: /passwd/,
  },
  { title: '127 for a missing program', args: ['nosuch'], want: 127, message: /nosuch/ },
  { title: '127 for a missing path', args: ['/no/such'], want: 127, message: /no\/such/ },
  {
    title: '137 after SIGKILL',
    args: ['sh', '-c', "sh -c 'kill -9 $$'; exit $?"],
    want: 137,
    message: /^|Killed/,
  },
  {
    title: '143 after SIGTERM',
    args: ['sh', '-c', "sh -c 'kill -15 $$'; exit $?"],
    want: 143,
    message: /^|Terminated/,
  },
])
  test(`run exits with ${title}`, async t => {
    const result = await kauri.run(['run', '--rm', 'small', ...args])
    t.is(result.code, want, result.stderr)
    t.regex(result.stderr, message)
    t.deepEqual(kauri.traces(), [])
  })

for (const { title, args, message } of [
  {
    title: 'an image that is not there',
    args: ['--pull', 'never', 'nosuch'],
    message: /no image nosuch[^]*kauri images/,
  },
  { title: 'no image', args: [], message: /IMAGE/ },
  {
    title: 'an unknown option',
    args: ['--memori', '64m', 'small'],
    message: /did you mean --memory/,
  },
  { title: 'a bad size', args: ['-m', '64q', 'small'], message: /64q/ },
  { title: 'too little memory', args: ['-m', '4m', 'small'], message: /6m/ },
  {
    title: 'swap below memory',
    args: ['-m', '64m', '--memory-swap', '32m', 'small'],
    message: /at least/,
  },
  { title: 'swap alone', args: ['--memory-swap', '32m', 'small'], message: /-m/ },
  { title: 'more processors than there are', args: ['--cpus', '4096', 'small'], message: /0\.01/ },
  { title: 'a bad limit', args: ['--ulimit', 'nofile=5:3', 'small'], message: /soft limit/ },
  { title: 'an unknown limit', args: ['--ulimit', 'files=5', 'small'], message: /nofile/ },
  { title: 'an unknown capability', args: ['--cap-add', 'FLY', 'small'], message: /FLY/ },
  {
    title: 'an unknown security option',
    args: ['--security-opt', 'x=y', 'small'],
    message: /seccomp/,
  },
  { title: 'an unknown network', args: ['--network', 'moon', 'small'], message: /no network moon/ },
  { title: 'a relative destination', args: ['-v', '/tmp:data', 'small'], message: /absolute/ },
  { title: 'a mount on the root', args: ['-v', '/tmp:/', 'small'], message: /below \// },
  {
    title: 'a missing bind source',
    args: ['--mount', 'type=bind,src=/no/such,dst=/x', 'small'],
    message: /no\/such/,
  },
  {
    title: 'two mounts at one place',
    args: ['-v', '/tmp:/x', '--tmpfs', '/x', 'small'],
    message: /two mounts/,
  },
  { title: 'a mount over /proc', args: ['-v', '/tmp:/proc', 'small', 'true'], message: /proc/ },
  {
    title: 'an unknown user',
    args: ['-u', 'nobody-here', 'small', 'true'],
    message: /nobody-here/,
  },
  { title: 'a bad name', args: ['--name', '-x', 'small'], message: /-x/ },
  {
    title: 'a relative working directory',
    args: ['-w', 'x', 'small', 'true'],
    message: /absolute/,
  },
  { title: 'a bad variable', args: ['-e', '=x', 'small'], message: /NAME/ },
  { title: 'a terminal without one', args: ['-it', 'small'], message: /not a terminal/ },
  { title: 'a bad host line', args: ['--add-host', 'a:b', 'small'], message: /ADDRESS/ },
  {
    title: 'a missing seccomp profile',
    args: ['--security-opt', 'seccomp=/no/such', 'small'],
    message: /no\/such/,
  },
])
  test(`run refuses ${title} with 125`, async t => {
    const result = await kauri.run(['run', '--rm', ...args])
    t.is(result.code, 125, result.stderr)
    t.regex(result.stderr, message)
    t.is(result.stdout, '')
    t.deepEqual(kauri.traces(), [])
    t.deepEqual(readdirSync(path.join(kauri.dataRoot, 'snapshots/overlay/.active')), [])
  })

test('an image without a command says how to give it one', async t => {
  await importRoot('mute')
  const result = await kauri.run(['run', '--rm', 'mute'])
  t.is(result.code, 125)
  t.regex(result.stderr, /no command specified[^]*CMD/)
})

test('command, entrypoint and their options go together as in docker', async t => {
  await importRoot('worded', () => {}, ['ENTRYPOINT ["/bin/sh", "-c"]', 'CMD ["echo cmd"]'])
  const output = async (...args: string[]): Promise<string> => {
    const { stdout, stderr } = await kauri.run(['run', '--rm', ...args])
    return stdout + stderr
  }
  t.is(await output('worded'), 'cmd\n')
  t.is(await output('worded', 'echo mine'), 'mine\n')
  t.is(await output('--entrypoint', '/bin/pwd', 'worded'), '/\n')
  t.is(await output('--entrypoint', '', 'worded', 'pwd'), '/\n')
})

test('variables come from the image, the caller, files and the defaults of docker', async t => {
  await importRoot('varied', () => {}, ['ENV PATH=/bin:/x IMAGE=1 BOTH=image GONE=1'])
  using scratch = makeScratch()
  writeFileSync(scratch.at('env'), '# comment\nFROM_FILE=a b\nCALLERS\nNOBODYS\n')
  const words = ['-e', 'BOTH=mine', '-e', 'CALLERS', '-e', 'GONE', '--hostname', 'h']
  const result = await kauri.run(
    ['run', '--rm', '--env-file', scratch.at('env'), ...words, 'varied', 'env'],
    { env: { CALLERS: 'yes' } },
  )
  t.deepEqual(
    result.stdout
      .trim()
      .split('\n')
      .filter(line => !/^(?:_|PWD|OLDPWD|SHLVL)=/.test(line)),
    [
      'PATH=/bin:/x',
      'HOSTNAME=h',
      'FROM_FILE=a b',
      'CALLERS=yes',
      'BOTH=mine',
      'IMAGE=1',
      'HOME=/root',
    ],
    result.stderr,
  )
})

test('standard input is empty without -i and passes with it', async t => {
  const without = await kauri.run(['run', '--rm', 'small', 'cat'], { input: 'text' })
  t.deepEqual([without.code, without.stdout], [0, ''])
  const big = 'x'.repeat(300_000)
  const result = await kauri.run(['run', '--rm', '-i', 'small', 'cat'], { input: big })
  t.true(result.stdout === big)
})

test('output and errors stay apart', async t => {
  const { stdout, stderr } = await run('echo out; echo err >&2')
  t.deepEqual([stdout, stderr], ['out\n', 'err\n'])
})

test('-t gives a terminal of the size of ours', t => {
  const command = `${path.resolve('bin/kauri')} run --rm -it small sh -c 'tty; stty size; echo $TERM'`
  const output = execFileSync('script', ['-qec', `stty rows 33 cols 77; ${command}`, '/dev/null'], {
    env: {
      ...process.env,
      KAURI_DATA_ROOT: kauri.dataRoot,
      KAURI_RUN_ROOT: kauri.runRoot,
      TERM: 'vt100',
    },
    encoding: 'utf8',
    input: '',
  })
  t.regex(output, /\/dev\/pts\/0\r?\n33 77\r?\nxterm/)
})

for (const [name, code] of [
  ['SIGTERM', 42],
  ['SIGINT', 43],
  ['SIGHUP', 44],
  ['SIGUSR1', 45],
  ['SIGQUIT', 46],
] as const)
  test(`${name} to kauri reaches the container`, async t => {
    const script = `trap "exit ${code}" ${name.slice(3)}; echo ready; while :; do sleep 0.05; done`
    const child = kauri.start(['run', '--rm', 'small', 'sh', '-c', script])
    t.teardown(() => child.kill('SIGKILL'))
    await once(child.stdout ?? child, 'data')
    child.kill(name)
    t.deepEqual(await once(child, 'exit'), [code, null])
    t.deepEqual(kauri.traces(), [])
  })

test('a container that ignores SIGTERM is killed at the third', async t => {
  const child = kauri.start(['run', '--rm', 'small', 'sh', '-c', 'echo ready; sleep 100'])
  t.teardown(() => child.kill('SIGKILL'))
  await once(child.stdout ?? child, 'data')
  const ended = once(child, 'exit')
  for (let i = 0; i < 3; i++) {
    child.kill('SIGTERM')
    await new Promise(resolve => setTimeout(resolve, 100))
  }
  t.deepEqual(await ended, [137, null])
  t.deepEqual(kauri.traces(), [])
})

test('what a killed kauri ran is gone after the next command', async t => {
  const script = 'sleep 1000 & echo ready; wait'
  const child = kauri.start(['run', '--rm', 'small', 'sh', '-c', script])
  t.teardown(() => child.kill('SIGKILL'))
  await once(child.stdout ?? child, 'data')
  t.not(kauri.traces().length, 0)
  child.kill('SIGKILL')
  await once(child, 'exit')
  await printed('true')
  t.deepEqual(kauri.traces(), [])
  t.deepEqual(readdirSync(path.join(kauri.dataRoot, 'snapshots/overlay/.active')), [])
  t.deepEqual(readdirSync(path.join(kauri.dataRoot, 'containers')), ['.names'])
  t.deepEqual(readdirSync(path.join(kauri.dataRoot, 'containers/.names')), [])
})
