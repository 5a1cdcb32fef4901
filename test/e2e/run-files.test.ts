// `kauri run`: the files a container sees, mounts and volumes, and what stays of it.

import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { createBuiltinRuntime } from '../../src/runtime/builtin-runtime.ts'
import { eventually } from '../helpers/eventually.ts'
import { testWith } from '../helpers/needs.ts'
import { useContainers } from '../helpers/run-containers.ts'
import { makeScratch } from '../helpers/scratch.ts'

const test = testWith({ root: true })
const { kauri, importRoot, run, printed } = useContainers()

test('a read-only root takes no writes, tmpfs does', async t => {
  const options = ['--read-only', '--tmpfs', '/t']
  const result = await run('touch /x; touch /t/y && echo wrote', ...options)
  t.regex(result.stderr, /Read-only/)
  t.is(result.stdout, 'wrote\n')
})

test('tmpfs takes the defaults of docker, options, and the mode of what it covers', async t => {
  const script = 'grep " /t " /proc/mounts; stat -c %a /t /tmp'
  const mounts = await printed(script, '--tmpfs', '/t:size=1m,exec,mode=0700', '--tmpfs', '/tmp')
  t.regex(mounts, /nosuid,nodev,relatime,size=1024k,mode=700/)
  t.notRegex(mounts, /noexec/)
  t.regex(mounts, /\n700\n1777$/)
})

test('/dev/shm is 64 MiB, or what is asked for', async t => {
  t.regex(await printed('grep /dev/shm /proc/mounts'), /size=65536k/)
  t.regex(await printed('grep /dev/shm /proc/mounts', '--shm-size', '1m'), /size=1024k/)
})

test('host directories are mounted, writable or not, and made by -v', async t => {
  using scratch = makeScratch()
  writeFileSync(scratch.at('in'), 'text')
  t.is(await printed('cat /d/in; echo out > /d/out', '-v', `${scratch.path}:/d`), 'text')
  t.is(readFileSync(scratch.at('out'), 'utf8'), 'out\n')
  t.regex((await run('echo x > /d/in', '-v', `${scratch.path}:/d:ro`)).stderr, /Read-only/)
  const long = `type=bind,source=${scratch.path},target=/d/e,readonly`
  t.regex((await run('cat /d/e/in; echo x > /d/e/in', '--mount', long)).stderr, /Read-only/)
  await printed('touch /new/file', '-v', `${scratch.at('made')}:/new`)
  t.true(existsSync(scratch.at('made/file')))
  t.is(await printed('cat /etc/passwd', '-v', `${scratch.at('in')}:/etc/passwd`), 'text')
})

test('a volume of the image starts with what the image has and goes with the container', async t => {
  await importRoot(
    'volumed',
    root => {
      mkdirSync(path.join(root, 'data'))
      writeFileSync(path.join(root, 'data/seed'), 'seed')
      execFileSync('chown', ['-R', '1000:1000', path.join(root, 'data')])
    },
    ['VOLUME /data'],
  )
  const script =
    'cat /data/seed; stat -c " %u %a" /data; echo more >> /data/seed; grep -c " /data " /proc/mounts'
  for (let i = 0; i < 2; i++) {
    const { stdout, stderr } = await kauri.run(['run', '--rm', 'volumed', 'sh', '-c', script])
    t.is(stdout, 'seed 1000 755\n1\n', stderr)
  }
  const words = ['-v', '/etc:/data', 'volumed', 'cat', '/data/hostname']
  const bound = await kauri.run(['run', '--rm', ...words])
  t.is(bound.stdout, readFileSync('/etc/hostname', 'utf8'))
})

test('a mount inside another mount is seen, whatever their order', async t => {
  using scratch = makeScratch()
  mkdirSync(scratch.at('outer/inner'), { recursive: true })
  mkdirSync(scratch.at('other'))
  writeFileSync(scratch.at('other/file'), 'inside')
  const options = ['-v', `${scratch.at('other')}:/o/inner`, '-v', `${scratch.at('outer')}:/o`]
  t.is(await printed('cat /o/inner/file', ...options), 'inside')
})

test('the working directory is made where it is missing', async t => {
  const text = await printed('pwd; stat -c "%u %a" .', '-w', '/new/deep/dir')
  t.is(text, '/new/deep/dir\n0 755')
})

test('what one container writes no other sees', async t => {
  await printed('echo mine > /etc/passwd; rm -r /home; mkdir /home; touch /tmp/x')
  t.is(await printed('ls /home /tmp'), '/home:\napp\n\n/tmp:')
})

test('without --rm a container stays listed with its tree until it is removed', async t => {
  const words = ['--name', 'kept', '-l', 'a=b', 'small', 'sh', '-c', 'echo data > /file; exit 9']
  t.is((await kauri.run(['run', ...words])).code, 9)
  const listed = await kauri.run(['ps', '-a'])
  t.regex(listed.stdout, /^CONTAINER ID +IMAGE +COMMAND +CREATED +STATUS +PORTS +NAMES\n/)
  t.regex(listed.stdout, /\n[0-9a-f]{12} +small +"sh -c 'echo data > …" .* Exited \(9\) .* kept\n$/)
  t.is((await kauri.run(['ps', '-q'])).stdout, '')
  const [{ id, labels }] = JSON.parse((await kauri.run(['ps', '-a', '--json'])).stdout)
  t.deepEqual(labels, { a: 'b' })
  const tree = path.join(kauri.dataRoot, 'snapshots/overlay', id)
  t.is(readFileSync(path.join(tree, 'fs/file'), 'utf8'), 'data\n')
  const again = await kauri.run(['run', '--name', 'kept', 'small', 'true'])
  t.is(again.code, 125)
  t.regex(again.stderr, /in use/)
  t.is((await kauri.run(['rm', 'kept'])).stdout, 'kept\n')
  t.is((await kauri.run(['rm', 'kept'])).code, 1)
  t.false(existsSync(tree))
  t.is((await kauri.run(['ps', '-aq'])).stdout, '')
})

test('a kept container outlives a killed kauri; one whose monitor was killed is listed as killed, with what it wrote', async t => {
  const script = 'echo data > /file; echo ready; sleep 100'
  const child = kauri.start(['run', '--name', 'victim', 'small', 'sh', '-c', script])
  t.teardown(() => child.kill('SIGKILL'))
  await once(child.stdout ?? child, 'data')
  child.kill('SIGKILL')
  await once(child, 'exit')
  t.regex((await kauri.run(['ps'])).stdout, /Up .* victim/)
  t.is((await kauri.run(['rm', 'victim'])).code, 1, 'it runs')
  const [{ id }] = JSON.parse((await kauri.run(['ps', '--json'])).stdout)
  const { monitorPid } = createBuiltinRuntime({ runRoot: kauri.runRoot }).state(id) ?? {}
  process.kill(monitorPid ?? 0, 'SIGKILL')
  await eventually(async () => {
    const [{ end }] = JSON.parse((await kauri.run(['ps', '-a', '--json'])).stdout)
    return end?.exitCode === 137
  })
  const file = path.join(kauri.dataRoot, 'snapshots/overlay', id, 'fs/file')
  t.is(readFileSync(file, 'utf8'), 'data\n')
  t.deepEqual(kauri.traces(), [])
  t.is((await kauri.run(['rm', 'victim'])).code, 0)
})

test('containers side by side do not disturb each other, also on an image not unpacked yet', async t => {
  await importRoot('fresh')
  const results = await Promise.all(
    Array.from({ length: 6 }, (_, i) =>
      kauri.run(['run', '--rm', 'fresh', 'sh', '-c', `echo ${i} > /f; sleep 0.1; cat /f`]),
    ),
  )
  t.deepEqual(
    results.map(({ stdout }) => stdout.trim()),
    ['0', '1', '2', '3', '4', '5'],
  )
  t.deepEqual(kauri.traces(), [])
})

test('copies serve where overlay is not wanted', async t => {
  const env = { KAURI_SNAPSHOTTER: 'copy' }
  const script = 'touch x; rm /etc/group; ls -d /made; id -u'
  for (let i = 0; i < 2; i++) {
    const words = ['-w', '/made', 'small', 'sh', '-c', script]
    const result = await kauri.run(['run', '--rm', ...words], { env })
    t.is(result.stdout, '/made\n0\n', result.stderr)
  }
  const directory = path.join(kauri.dataRoot, 'snapshots/copy')
  const [snapshot = ''] = readdirSync(directory).filter(name => name.length === 64)
  const tree = path.join(directory, snapshot, 'fs')
  t.false(existsSync(path.join(tree, 'made')))
  t.true(statSync(path.join(tree, 'etc/group')).isFile())
})
