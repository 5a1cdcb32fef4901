// The program as a process: the stub, the entry, streams that break.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test from 'ava'

const root = path.join(import.meta.dirname, '../..')
const kauri = path.join(root, 'bin/kauri')

test('--version and -v answer with name and version', t => {
  const { version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'))
  for (const word of ['--version', '-v']) {
    const { stdout, status } = spawnSync(kauri, [word], { encoding: 'utf8' })
    t.is(stdout, `kauri ${version}\n`)
    t.is(status, 0)
  }
})

test('kauri starts through a link, from any directory, by any shell, whatever NODE_OPTIONS say', t => {
  const directory = mkdtempSync(path.join(tmpdir(), 'kauri-stub-'))
  try {
    const link = path.join(directory, 'kauri')
    symlinkSync(kauri, link)
    const env = { ...process.env, NODE_OPTIONS: '--no-such-option' }
    const viaLink = spawnSync(link, ['--version'], { cwd: '/', env, encoding: 'utf8' })
    t.is(viaLink.status, 0, viaLink.stderr)
    const viaShell = spawnSync('sh', ['kauri', '--version'], {
      cwd: path.join(root, 'bin'),
      encoding: 'utf8',
    })
    t.is(viaShell.status, 0, viaShell.stderr)
  } finally {
    rmSync(directory, { recursive: true })
  }
})

test('a reader that goes away is no failure and no noise', t => {
  const { stdout, stderr } = spawnSync('sh', ['-c', `"${kauri}" --help | true; echo done`], {
    encoding: 'utf8',
  })
  t.is(stdout, 'done\n')
  t.is(stderr, '')
})

test('a full disk below standard output is a failure', t => {
  const { status, stderr } = spawnSync('sh', ['-c', `"${kauri}" version > /dev/full`], {
    encoding: 'utf8',
  })
  t.is(status, 1)
  t.regex(stderr, /ENOSPC/)
})

test('closed standard streams are survived', t => {
  const { status } = spawnSync('sh', ['-c', `"${kauri}" version <&- >&- 2>&-`])
  t.is(status, 0)
})

test('an unknown command says what was meant, with status 2', t => {
  const { status, stderr } = spawnSync(kauri, ['verison'], { encoding: 'utf8' })
  t.is(status, 2)
  t.is(stderr, "kauri: unknown command 'verison'\nhint: did you mean kauri version?\n")
})
