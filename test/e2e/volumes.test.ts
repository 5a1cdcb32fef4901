// Volumes: what outlives containers, and attacks by what images and containers put in their place.

import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import type { ProgramResult } from '../helpers/kauri-program.ts'
import { testWith } from '../helpers/needs.ts'
import { useContainers } from '../helpers/run-containers.ts'
import { makeScratch } from '../helpers/scratch.ts'

const test = testWith({ root: true })
const { kauri, importRoot, run, printed } = useContainers()

/** What a command prints; it must end well. */
async function done(...words: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await kauri.run(words)
  if (code !== 0) throw new Error(`${words.join(' ')}: ${stderr}`)
  return stdout.trimEnd()
}

function volumeNames(): Promise<string> {
  return done('volume', 'ls', '-q')
}

test('a named volume is made by the first container, outlives it, and is in use while a record names it', async t => {
  await printed('echo text > /d/file', '-v', 'kept:/d')
  t.is(await printed('cat /d/file', '-v', 'kept:/d:ro'), 'text')
  t.regex((await run('echo x > /d/file', '-v', 'kept:/d:ro')).stderr, /Read-only/)
  const [inspected] = JSON.parse(await done('volume', 'inspect', 'kept'))
  t.like(inspected, { Name: 'kept', Driver: 'local', Scope: 'local' })
  t.is(readFileSync(path.join(inspected.Mountpoint, 'file'), 'utf8'), 'text\n')
  await done('create', '--name', 'user', '-v', 'kept:/d', 'small', 'true')
  const refused = await kauri.run(['volume', 'rm', 'kept'])
  t.is(refused.code, 1)
  t.regex(refused.stderr, /volume is in use/)
  await done('gc')
  t.is(await volumeNames(), 'kept')
  await done('rm', '-v', 'user')
  t.is(await volumeNames(), 'kept')
  t.is(await done('volume', 'rm', 'kept'), 'kept')
  t.is(await volumeNames(), '')
})

test('an empty volume starts with what the image has, owners and modes with it, unless nocopy says no', async t => {
  await importRoot('filled', root => {
    mkdirSync(path.join(root, 'data/inner'), { recursive: true, mode: 0o750 })
    writeFileSync(path.join(root, 'data/inner/file'), 'from the image', { mode: 0o640 })
    symlinkSync('inner/file', path.join(root, 'data/link'))
    chownSync(path.join(root, 'data'), 1000, 2000)
  })
  const look = ['sh', '-c', 'stat -c "%a %u %g" /data; cat /data/link; stat -c %a /data/inner/file']
  const text = await done('run', '--rm', '-v', 'full:/data', 'filled', ...look)
  t.is(text, '750 1000 2000\nfrom the image640')
  await done('run', '--rm', '-v', 'full:/data', 'filled', 'rm', '/data/link')
  t.is(await done('run', '--rm', '-v', 'full:/data', 'filled', 'ls', '/data'), 'inner')
  t.is(await done('run', '--rm', '-v', 'empty:/data:nocopy', 'filled', 'ls', '/data'), '')
  const long = 'source=long,target=/data,volume-nocopy'
  t.is(await done('run', '--rm', '--mount', long, 'filled', 'ls', '/data'), '')
  await done('volume', 'rm', 'full', 'empty', 'long')
})

test('volumes without a name go with --rm and rm -v, and stay with rm', async t => {
  await printed('echo x > /d/x', '-v', '/d')
  t.is(await volumeNames(), '')
  await done('create', '--name', 'a', '-v', '/d', 'small', 'true')
  await done('create', '--name', 'b', '-v', '/d', 'small', 'true')
  await done('rm', '-v', 'a')
  await done('rm', 'b')
  t.regex(await volumeNames(), /^[0-9a-f]{64}$/)
  await printed('true', '-v', 'named:/d')
  t.regex(await done('volume', 'prune', '-f'), /^Deleted Volumes:\n[0-9a-f]{64}\n/)
  t.is(await volumeNames(), 'named')
  await done('volume', 'prune', '-f', '-a')
  t.is(await volumeNames(), '')
})

test('a part of a volume, and file systems that only the container sees', async t => {
  await printed('mkdir -p /d/a/b; echo deep > /d/a/b/file', '-v', 'parts:/d')
  const part = (subpath: string): string => `source=parts,target=/p,volume-subpath=${subpath}`
  t.is(await printed('cat /p/file', '--mount', part('a/b')), 'deep')
  t.is(await printed('cat /p', '--mount', part('a/b/file')), 'deep')
  t.is((await run('true', '--mount', part('none'))).code, 125)
  await done(
    'volume',
    'create',
    '-o',
    'type=tmpfs',
    '-o',
    'device=tmpfs',
    '-o',
    'o=size=1m,mode=1777',
    'quick',
  )
  t.regex(await printed('grep /q /proc/mounts', '-v', 'quick:/q'), /^tmpfs \/q tmpfs .*size=1024k/)
  using scratch = makeScratch()
  writeFileSync(scratch.at('file'), 'bound')
  await done(
    'volume',
    'create',
    '-o',
    'type=none',
    '-o',
    `device=${scratch.path}`,
    '-o',
    'o=bind',
    'bound',
  )
  t.is(await printed('cat /b/file', '-v', 'bound:/b'), 'bound')
  t.false(readFileSync('/proc/self/mounts', 'utf8').includes(kauri.dataRoot))
  await done('volume', 'rm', 'parts', 'quick', 'bound')
  t.true(existsSync(scratch.at('file')))
})

test('bind mounts: read-only with what is below, and every propagation', async t => {
  using scratch = makeScratch()
  writeFileSync(scratch.at('file'), '')
  const source = `type=bind,source=${scratch.path},target=/b`
  t.regex((await run('touch /b/x', '--mount', `${source},readonly`)).stderr, /Read-only/)
  for (const propagation of ['private', 'rprivate', 'slave', 'rslave', 'shared', 'rshared']) {
    const word = `${source},bind-propagation=${propagation}`
    const { code, stderr } = await run('grep " /b " /proc/self/mountinfo', '--mount', word)
    t.is(code, 0, `${propagation}: ${stderr}`)
  }
  t.is((await run('true', '--mount', `type=bind,source=${scratch.at('none')},target=/b`)).code, 125)
})

test('owners are shifted for one mount, and in no other place', async t => {
  using scratch = makeScratch()
  writeFileSync(scratch.at('file'), '')
  chownSync(scratch.at('file'), 1000, 1000)
  // Its own owner is in no map.
  chmodSync(scratch.path, 0o755)
  const bind = `type=bind,source=${scratch.path},target=/b,idmap=uids=1000-0-1;gids=1000-5-1`
  t.is(await printed('stat -c "%u %g" /b/file', '--mount', bind), '0 5')
  t.is(statSync(scratch.at('file')).uid, 1000)
  await printed('touch /v/file', '-v', 'shifted:/v')
  const volume = 'source=shifted,target=/v,idmap=uids=0-1000-1;gids=0-1000-1'
  t.is(await printed('stat -c "%u %g" /v/file', '--mount', volume), '1000 1000')
  await done('volume', 'rm', 'shifted')
})

test('--volumes-from brings the volumes and binds of another container', async t => {
  using scratch = makeScratch()
  writeFileSync(scratch.at('file'), 'bound')
  const own = ['-v', '/own', '-v', 'shared:/s', '-v', `${scratch.path}:/b`]
  await done('create', '--name', 'giver', ...own, 'small', 'true')
  await printed('echo one > /s/one; echo two > /own/two', '--volumes-from', 'giver')
  const look = 'cat /s/one /own/two /b/file'
  t.is(await printed(look, '--volumes-from', 'giver:ro'), 'one\ntwo\nbound')
  t.regex((await run('touch /s/x', '--volumes-from', 'giver:ro')).stderr, /Read-only/)
  await done('rm', '-v', 'giver')
  await done('volume', 'rm', 'shared')
  t.is(await volumeNames(), '')
})

/** A link of the image where a volume goes must lead nowhere on the host. */
async function linked(target: string, ...options: readonly string[]): Promise<ProgramResult> {
  await importRoot('linked', root => symlinkSync(target, path.join(root, 'data')))
  return await kauri.run([
    'run',
    '--rm',
    ...options,
    'linked',
    'sh',
    '-c',
    'ls -A /data/ | head -20',
  ])
}

test('CVE-2022-23648: a link of the image at a volume’s place copies nothing of the host', async t => {
  using scratch = makeScratch()
  writeFileSync(scratch.at('secret'), 'of the host')
  const { stdout, stderr } = await linked(scratch.path, '-v', 'trap:/data')
  t.false(`${stdout}${stderr}`.includes('secret'), stdout)
  const [inspected] = JSON.parse(await done('volume', 'inspect', 'trap'))
  t.deepEqual(readdirSync(inspected.Mountpoint), [])
  t.deepEqual(readdirSync(scratch.path), ['secret'])
  await done('volume', 'rm', 'trap')
})

test('CVE-2024-45310: a link on the way to a volume makes nothing on the host', async t => {
  using scratch = makeScratch()
  await linked(scratch.path, '-v', 'trap:/data/inner/deep')
  await linked(`../../../../..${scratch.path}`, '-v', 'trap:/data/inner/deep')
  t.deepEqual(readdirSync(scratch.path), [])
  await done('volume', 'rm', 'trap')
})

for (const target of ['/proc', '/proc/self', '/proc/sys/kernel', '/proc/1/attr'])
  test(`CVE-2019-16884: a volume on ${target} is refused`, async t => {
    const { code } = await run('true', '-v', `over:${target}`)
    t.is(code, 125)
    await kauri.run(['volume', 'rm', '-f', 'over'])
  })

test('CVE-2019-16884: a link of the image that leads a volume to /proc is refused', async t => {
  const { code, stderr } = await linked('/proc/self', '-v', 'over:/data/attr')
  t.not(code, 0, stderr)
  await kauri.run(['volume', 'rm', '-f', 'over'])
})

test('a link in a volume does not lead a part of it out of the volume', async t => {
  using scratch = makeScratch()
  writeFileSync(scratch.at('secret'), 'of the host')
  await printed(`ln -s ${scratch.path} /d/out; ln -s ../../../../../../.. /d/up`, '-v', 'links:/d')
  for (const subpath of ['out', 'out/secret', 'up', `up${scratch.path}`]) {
    const word = `source=links,target=/p,volume-subpath=${subpath}`
    const { stdout } = await run('ls -A /p; cat /p', '--mount', word)
    t.false(stdout.includes('secret') || stdout.includes('of the host'), `${subpath}: ${stdout}`)
  }
  await done('volume', 'rm', 'links')
})

test('CVE-2021-41091: nobody but root gets to the files of volumes', async t => {
  await printed('touch /d/tool; chmod 4755 /d/tool', '-v', 'tools:/d')
  const [{ Mountpoint: directory }] = JSON.parse(await done('volume', 'inspect', 'tools'))
  t.is(statSync(path.dirname(directory)).mode & 0o077, 0)
  await done('volume', 'rm', 'tools')
})
