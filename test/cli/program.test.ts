// The program as a process: the stub, the entry, streams that break.

import { type SpawnSyncReturns, spawn, spawnSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'

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

test('SIGUSR1 opens no debugger', async t => {
  const child = spawn(kauri, ['import', '-', 'name'], { stdio: ['pipe', 'pipe', 'pipe'] })
  t.teardown(() => child.kill('SIGKILL'))
  // The stub is gone once Node is the process.
  while (readlinkSync(`/proc/${child.pid}/exe`).endsWith('sh')) await sleep(5)
  await sleep(100)
  child.kill('SIGUSR1')
  await sleep(200)
  child.kill('SIGKILL')
  let stderr = ''
  for await (const chunk of child.stderr) stderr += String(chunk)
  t.notRegex(stderr, /Debugger listening/)
})

/** A checkout of its own with a cache of its own. */
function checkout(t: ExecutionContext): {
  readonly edit: (file: string, change: (text: string) => string) => void
  readonly run: (...args: readonly string[]) => SpawnSyncReturns<string>
  readonly cache: string
} {
  const directory = mkdtempSync(path.join(tmpdir(), 'kauri-checkout-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  for (const name of ['bin', 'src', 'package.json'])
    cpSync(path.join(root, name), path.join(directory, name), { recursive: true })
  symlinkSync(path.join(root, 'node_modules'), path.join(directory, 'node_modules'))
  const cache = path.join(directory, 'cache')
  mkdirSync(cache)
  return {
    cache,
    edit: (name, change) => {
      const file = path.join(directory, name)
      writeFileSync(file, change(readFileSync(file, 'utf8')))
    },
    run: (...args) =>
      spawnSync(path.join(directory, 'bin/kauri'), args, {
        encoding: 'utf8',
        env: { ...process.env, KAURI_CACHE_DIR: cache, NODE_V8_COVERAGE: '' },
      }),
  }
}

test('the program is one file that is made anew when a source has changed', t => {
  const { edit, run, cache } = checkout(t)
  t.regex(run('version').stdout, /^kauri /)
  const [programs = ''] = readdirSync(path.join(cache, 'program'))
  t.is(readdirSync(path.join(cache, 'program', programs)).length, 2)
  edit('src/cli/commands/version.ts', text => text.replace('`kauri ${version}`', '`KAURI`'))
  t.regex(run('version').stdout, /^KAURI\n/)
})

test('with --debug stack traces speak of the sources', t => {
  const { run } = checkout(t)
  t.regex(run('help', 'nonsense', '--debug').stderr, /at .*src\/cli\/commands\/help\.ts:\d+/)
})

test('what cannot be bundled, or kept, runs from its sources', t => {
  const { run, cache } = checkout(t)
  rmSync(cache, { recursive: true })
  writeFileSync(cache, 'a file in the way')
  t.regex(run('version').stdout, /^kauri /)
})

test('packages are found from the bundle', t => {
  const { run } = checkout(t)
  const { status, stderr } = run('check', path.join(root, 'descriptions/debian-bookworm'))
  t.is(status, 0, stderr)
})

test('a cache of programs is made for its owner alone, and not used where others may write', t => {
  const directory = mkdtempSync(path.join(tmpdir(), 'kauri-cache-'))
  try {
    const cache = path.join(directory, 'new')
    const start = `umask 0 && exec "${kauri}" version`
    const env = { ...process.env, KAURI_CACHE_DIR: cache }
    t.is(spawnSync('sh', ['-c', start], { env }).status, 0)
    const made = [cache, path.join(cache, 'node')]
    for (const name of made) t.is(statSync(name).mode & 0o7777, 0o755, name)
    const shared = path.join(directory, 'shared')
    mkdirSync(shared)
    chmodSync(shared, 0o777)
    const inShared = { ...env, KAURI_CACHE_DIR: shared }
    t.is(spawnSync(kauri, ['version'], { env: inShared }).status, 0)
    t.deepEqual(readdirSync(shared), [])
  } finally {
    rmSync(directory, { recursive: true })
  }
})
