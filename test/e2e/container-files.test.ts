// Files of containers from outside: cp, diff, commit and export, while they run and after.

import { execFileSync } from 'node:child_process'
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { eventually } from '../helpers/eventually.ts'
import { testWith } from '../helpers/needs.ts'
import { useContainers } from '../helpers/run-containers.ts'
import { makeScratch } from '../helpers/scratch.ts'

const test = testWith({ root: true })
const { kauri } = useContainers()

async function done(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await kauri.run(args)
  if (code !== 0) throw new Error(`kauri ${args.join(' ')}: ${code}: ${stderr}`)
  return stdout.trimEnd()
}

const waiting = ['sh', '-c', 'while :; do sleep 0.1; done']

async function made(name: string, ...options: readonly string[]): Promise<void> {
  await done('create', '--name', name, '--network', 'none', ...options, 'small', ...waiting)
}

for (const isRunning of [false, true])
  test(`cp follows docker's rules in a container that ${isRunning ? 'runs' : 'does not run'}`, async t => {
    using scratch = makeScratch()
    const name = isRunning ? 'running' : 'stopped'
    await made(name, '-v', '/vol')
    t.teardown(() => kauri.run(['rm', '-f', '-v', name]))
    if (isRunning) await done('start', name)
    mkdirSync(scratch.at('dir'))
    writeFileSync(scratch.at('dir/file'), 'in dir')
    writeFileSync(scratch.at('plain'), 'plain', { mode: 0o640 })
    symlinkSync('dir', scratch.at('link'))
    const at = (text: string): string => `${name}:${text}`
    await done('cp', scratch.at('dir'), at('/new'))
    await done('cp', scratch.at('dir'), at('/new'))
    await done('cp', `${scratch.at('dir')}/.`, at('/tmp'))
    await done('cp', scratch.at('plain'), at('/tmp/'))
    await done('cp', scratch.at('plain'), at('/tmp/renamed'))
    await done('cp', scratch.at('link'), at('/as-link'))
    await done('cp', '-L', scratch.at('link'), at('/as-directory'))
    await done('cp', scratch.at('plain'), at('/vol'))
    await done('cp', at('/new'), scratch.at('out'))
    await done('cp', at('/tmp/.'), scratch.at('contents'))
    await done('cp', at('/vol/plain'), scratch.at('volume'))
    await done('cp', at('/as-link'), scratch.at('as-link'))
    await done('cp', '-L', at('/as-directory'), scratch.at('as-directory'))
    t.deepEqual(readdirSync(scratch.at('out')).toSorted(), ['dir', 'file'])
    t.deepEqual(readdirSync(scratch.at('contents')).toSorted(), ['file', 'plain', 'renamed'])
    t.is(readFileSync(scratch.at('contents/renamed'), 'utf8'), 'plain')
    t.is(statSync(scratch.at('contents/renamed')).mode & 0o777, 0o640)
    t.is(readFileSync(scratch.at('volume'), 'utf8'), 'plain')
    t.is(readlinkSync(scratch.at('as-link')), 'dir')
    t.true(lstatSync(scratch.at('as-directory')).isDirectory())
    for (const { words, message } of [
      { words: [scratch.at('nosuch'), at('/')], message: /Could not find the file/ },
      { words: [at('/nosuch'), scratch.path], message: /Could not find the file/ },
      { words: [scratch.at('plain'), at('/no/where')], message: /no such directory/ },
      { words: [scratch.at('plain'), at('/nowhere/')], message: /no such directory/ },
      { words: [scratch.at('dir'), at('/tmp/plain')], message: /cannot copy directory/ },
      { words: [at('/tmp'), at('/x')], message: /between containers/ },
      { words: [scratch.at('plain'), scratch.at('x')], message: /at least one container/ },
    ]) {
      const result = await kauri.run(['cp', ...words])
      t.not(result.code, 0, words.join(' '))
      t.regex(result.stderr, message, words.join(' '))
    }
  })

test('cp takes and gives tars', async t => {
  await made('tars')
  t.teardown(() => kauri.run(['rm', '-f', 'tars']))
  const words = ['-C', '/etc', '--owner=7', '--group=8', '-c', 'hostname']
  const input = execFileSync('tar', words)
  t.is((await kauri.run(['cp', '-', 'tars:/tmp'], { input })).code, 0)
  t.regex(
    (await kauri.run(['cp', '-', 'tars:/tmp/hostname'], { input })).stderr,
    /must be a directory/,
  )
  const { stdout } = await kauri.run(['cp', 'tars:/tmp/hostname', '-'])
  const listed = execFileSync('tar', ['--numeric-owner', '-tv'], {
    input: stdout,
    encoding: 'utf8',
  })
  t.regex(listed, / 7\/8 .* hostname$/m)
})

test('CVE-2018-15664: links in a container lead cp nowhere else, also while they are exchanged', async t => {
  using scratch = makeScratch()
  writeFileSync(scratch.at('secret'), 'secret of the host')
  mkdirSync(scratch.at('target'))
  const script = `mkdir -p /a ${scratch.at('target')}; echo mine > /a/secret; ln -s ${scratch.path} /outside
    ln -s ../../../../../..${scratch.path} /up; echo ready
    while :; do rm -rf /b; mkdir /b; rm -rf /b; ln -s ${scratch.path} /b; done`
  const words = ['run', '-d', '--name', 'hostile', '--network', 'none', 'small', 'sh', '-c']
  await done(...words, script)
  t.teardown(() => kauri.run(['rm', '-f', 'hostile']))
  t.true(await eventually(async () => (await done('logs', 'hostile')).includes('ready')))
  writeFileSync(scratch.at('mine'), 'of mine')
  for (const place of ['/outside', '/up']) {
    const out = await kauri.run(['cp', `hostile:${place}/secret`, scratch.at('stolen')])
    t.not(out.code, 0)
    await kauri.run(['cp', scratch.at('mine'), `hostile:${place}/target/planted`])
  }
  for (let i = 0; i < 8; i++) {
    await kauri.run(['cp', 'hostile:/b/secret', scratch.at('stolen')])
    await kauri.run(['cp', scratch.at('mine'), 'hostile:/b/target/planted'])
    await kauri.run(['cp', scratch.at('mine'), 'hostile:/b/planted'])
  }
  t.false(existsSync(scratch.at('stolen')))
  t.false(existsSync(scratch.at('planted')))
  t.deepEqual(readdirSync(scratch.at('target')), [])
})

test('cp brings no devices and no set-id bits of others to the host, unless -a asks for what is there', async t => {
  using scratch = makeScratch()
  const script = `mkdir /made; touch /made/ordinary /made/own
    mknod -m 666 /made/disk b 8 0; ln /made/disk /made/disk-again
    chown 1000:1000 /made/ordinary; chmod 6755 /made/ordinary /made/own; while :; do sleep 0.1; done`
  await done('run', '-d', '--name', 'maker', '--network', 'none', 'small', 'sh', '-c', script)
  t.teardown(() => kauri.run(['rm', '-f', 'maker']))
  const isMade = async (): Promise<boolean> =>
    (await kauri.run(['exec', 'maker', 'sh', '-c', '[ -u /made/own ]'])).code === 0
  t.true(await eventually(isMade))
  const modeOf = (file: string): number => statSync(scratch.at(file)).mode & 0o7777
  const { code, stderr } = await kauri.run(['cp', 'maker:/made', scratch.at('out')])
  t.is(code, 0, stderr)
  t.regex(stderr, /the device \S*disk is left out/)
  t.deepEqual(readdirSync(scratch.at('out')).toSorted(), ['ordinary', 'own'])
  t.is(modeOf('out/ordinary'), 0o755)
  t.is(modeOf('out/own'), 0o6755)
  await done('cp', '-a', 'maker:/made', scratch.at('all'))
  t.is(modeOf('all/ordinary'), 0o6755)
  t.true(statSync(scratch.at('all/disk-again')).isBlockDevice())
})

test('CVE-2019-14271: cp loads nothing of the container, and leaves the files of the kernel alone', async t => {
  using scratch = makeScratch()
  const script =
    'mkdir -p /lib; for f in libnss_files.so.2 libc.so.6; do echo broken > /lib/$f; done; cat'
  await done(
    'run',
    '-d',
    '-i',
    '--name',
    'broken',
    '--network',
    'none',
    'small',
    'sh',
    '-c',
    script,
  )
  t.teardown(() => kauri.run(['rm', '-f', 'broken']))
  await done('cp', 'broken:/etc/passwd', scratch.at('passwd'))
  t.regex(readFileSync(scratch.at('passwd'), 'utf8'), /^app:/m)
  t.regex((await kauri.run(['cp', 'broken:/proc/1/environ', '-'])).stderr, /kernel's/)
  await done('cp', 'broken:/', scratch.at('all'))
  t.deepEqual(readdirSync(scratch.at('all/proc')), [])
})

test('diff and commit tell exactly what a container changed', async t => {
  const script =
    'echo 1 > /added; rm -r /home/app; chmod 700 /root; mkdir /dir; ln -s x /dir/link; : > /etc/passwd; echo ready; cat'
  const options = ['-i', '--network', 'none', '-e', 'A=b', '-l', 'k=v', '-w', '/dir']
  await done('run', '-d', '--name', 'changed', ...options, 'small', 'sh', '-c', script)
  t.teardown(() => kauri.run(['rm', '-f', 'changed']))
  t.true(await eventually(async () => (await done('logs', 'changed')) === 'ready'))
  const changes = [
    'A /added',
    'A /dir',
    'A /dir/link',
    'C /etc',
    'C /etc/passwd',
    'C /home',
    'D /home/app',
    'C /root',
  ]
  t.deepEqual((await done('diff', 'changed')).split('\n'), changes)
  const words = ['-a', 'me', '-m', 'why', '-c', 'CMD ["cat","/added"]', 'changed', 'committed:1']
  const digest = await done('commit', ...words)
  t.is(await done('run', '--rm', '--network', 'none', 'committed:1'), '1')
  const config = JSON.parse(await done('inspect', '-f', '{{json .Config}}', digest))
  t.like(config, { Env: ['A=b'], Cmd: ['cat', '/added'], WorkingDir: '/dir', Labels: { k: 'v' } })
  t.regex(await done('history', 'committed:1'), /why\n/)
  const difference = JSON.parse(await done('diff', '--json', 'small', 'committed:1'))
  const names = difference.files.map(({ path: file }: { path: string }) => file).toSorted()
  t.deepEqual(names.includes('added') || names.includes('/added'), true)
  await done('stop', '-t', '0', 'changed')
  const again = await done('commit', 'changed', 'committed:2')
  const layers = async (name: string): Promise<unknown> =>
    JSON.parse(await done('inspect', '-f', '{{json .RootFS.Layers}}', name))
  t.deepEqual(await layers(again), await layers('committed:1'), 'the same layer, running or not')
})

test('export gives the files of a container, running or not, without what is mounted', async t => {
  using scratch = makeScratch()
  await made('exported', '-v', `${scratch.path}:/mnt`)
  t.teardown(() => kauri.run(['rm', '-f', 'exported']))
  writeFileSync(scratch.at('of-the-host'), '')
  const listing = async (): Promise<string[]> => {
    const file = path.join(kauri.dataRoot, 'exported.tar')
    await done('export', '-o', file, 'exported')
    return execFileSync('tar', ['-tf', file], { encoding: 'utf8' }).split('\n')
  }
  t.true((await listing()).includes('etc/passwd'))
  await done('start', 'exported')
  const names = await listing()
  t.true(names.includes('etc/passwd'))
  t.false(names.some(name => /^(?:mnt|proc|dev)\/./.test(name)))
  t.is(await done('inspect', '-f', '{{.State.Status}}', 'exported'), 'running')
})
