// The main job on real packages: descriptions/debian-bookworm from the repositories of this machine.

import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { kauriProgram } from '../helpers/kauri-program.ts'
import { testWith } from '../helpers/needs.ts'

const test = testWith({ root: true, programs: ['apt-get', 'gpg'] })

const description = path.resolve(import.meta.dirname, '../../descriptions/debian-bookworm')

test('Debian is built, runs, and is the same again on another host name without the cache', async t => {
  using kauri = kauriProgram()
  const target = (name: string): string => path.join(path.dirname(kauri.dataRoot), name)
  const build = (name: string): string[] => [
    'system',
    'build',
    '--description',
    description,
    '--target-dir',
    target(name),
  ]
  const first = await kauri.run(build('first'))
  t.is(first.code, 0, first.stderr)
  const through = ['unshare', '--uts', 'sh', '-c', 'hostname elsewhere; exec "$@"', 'sh']
  const second = await kauri.run([...build('second'), '--no-cache'], { through })
  t.is(second.code, 0, second.stderr)
  t.is(second.stdout, first.stdout)

  const run = await kauri.run([
    'run',
    '--rm',
    'debian-bookworm',
    'sh',
    '-c',
    '. /etc/os-release; echo $ID; apt-get --version; dpkg --audit',
  ])
  t.is(run.code, 0, run.stderr)
  t.regex(run.stdout, /^debian\napt /)
  const read = (kind: string): string =>
    readFileSync(path.join(target('first'), `debian-bookworm.x86_64-1.0.0.${kind}`), 'utf8')
  t.is(read('verified'), '', 'every file is as its package had it')
  t.regex(read('packages'), /^base-files\|None\|12\.\S+\|None\|amd64\|None\|None$/m)
  t.regex(read('changes'), /^base-files\|$/m)

  const archive = path.join(target('first'), 'debian-bookworm.x86_64-1.0.0.docker.tar')
  const manifest = execFileSync('tar', ['-xOf', archive, 'manifest.json'], { encoding: 'utf8' })
  const [{ Layers: layers }] = JSON.parse(manifest) as [{ Layers: string[] }]
  const names = execFileSync(
    'sh',
    ['-c', 'tar -xOf "$0" "$1" | tar -t', archive, layers[0] ?? ''],
    {
      encoding: 'utf8',
    },
  ).split('\n')
  const unwanted =
    /^(?:var\/lib\/apt\/lists|var\/cache\/apt\/archives)\/.+\.(?:deb|InRelease)|Packages$|kauri|^etc\/(?:hostname|machine-id|resolv\.conf)$/
  t.deepEqual(
    names.filter(name => unwanted.test(name)),
    [],
  )
  t.deepEqual(kauri.traces(), [])
})
