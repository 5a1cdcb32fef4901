// `kauri build` with secrets, caches and agents, as a person calls it: nothing of the values stays, whatever ends the build.

import { execFileSync } from 'node:child_process'
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { eventually } from '../helpers/eventually.ts'
import { type KauriProgram, kauriProgram } from '../helpers/kauri-program.ts'
import { testWith } from '../helpers/needs.ts'
import { makeSmallRoot, tarOfRoot } from '../helpers/small-root.ts'

const test = testWith({ root: true })
const testWithSsh = testWith({ root: true, programs: ['ssh-agent', 'ssh-keygen'] })

const value = 'the-Value-nobody-may-find-4712'

interface Trial extends Disposable {
  readonly kauri: KauriProgram
  readonly directory: string
  at(...names: string[]): string
  /** Writes a Dockerfile into the context. */
  write(text: string): void
}

async function openTrial(): Promise<Trial> {
  const directory = mkdtempSync(path.join(tmpdir(), 'kauri-words-'))
  const at = (...names: string[]): string => path.join(directory, ...names)
  mkdirSync(at('root'))
  mkdirSync(at('context'))
  makeSmallRoot(at('root'))
  const kauri = kauriProgram()
  const imported = await kauri.run(['import', '-', 'small:latest'], {
    input: tarOfRoot(at('root')),
  })
  if (imported.code !== 0) throw new Error(imported.stderr)
  return {
    kauri,
    directory,
    at,
    write: text => writeFileSync(at('context/Dockerfile'), text),
    [Symbol.dispose]() {
      kauri[Symbol.dispose]()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

function filesWith(directory: string, text: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => path.join(entry.parentPath, entry.name))
    .filter(file => readFileSync(file).includes(text))
}

test('secret values are in no output, history, configuration or file, also with --debug and after a failure', async t => {
  using trial = await openTrial()
  writeFileSync(trial.at('secret'), value)
  const mount = '--mount=type=secret,id=token,env=TOKEN --mount=type=secret,id=token'
  const options = ['--secret', `id=token,src=${trial.at('secret')}`]
  const proxy = ['--build-arg', `http_proxy=http://user:${value}@proxy.example.org`]
  const build = (more: readonly string[] = []) =>
    trial.kauri.run(['--debug', 'build', ...options, ...proxy, ...more, trial.at('context')])
  trial.write(
    `FROM small\nRUN ${mount} test "$TOKEN" = "$(cat /run/secrets/token)" && test "$http_proxy" && echo fine > /fine\n`,
  )
  const built = await build(['-t', 'made:1', '--metadata-file', trial.at('metadata')])
  t.is(built.code, 0, built.stderr)
  trial.write(`FROM small\nRUN ${mount} false\n`)
  const failed = await build()
  t.is(failed.code, 1)
  const shown = [
    built,
    failed,
    await trial.kauri.run(['history', '--no-trunc', 'made:1']),
    await trial.kauri.run(['inspect', 'made:1']),
    await trial.kauri.run(['plan', '--json', trial.at('context')]),
  ]
  for (const { stdout, stderr } of shown) t.false(`${stdout}${stderr}`.includes(value))
  const saved = await trial.kauri.run(['save', '-o', trial.at('saved.tar'), 'made:1'])
  t.is(saved.code, 0, saved.stderr)
  const own = [trial.at('secret')]
  t.deepEqual(filesWith(trial.directory, value), own)
  t.deepEqual(filesWith(trial.kauri.dataRoot, value), [])
  t.deepEqual(filesWith(trial.kauri.runRoot, value), [])
  const listed = execFileSync('tar', ['-tf', trial.at('saved.tar')], { encoding: 'utf8' })
  t.true(listed.includes('manifest.json'))
})

test('caches are shown by df and freed by gc', async t => {
  using trial = await openTrial()
  trial.write(
    'FROM small\nRUN --mount=type=cache,target=/c dd if=/dev/zero of=/c/x bs=1k count=512\n',
  )
  t.is((await trial.kauri.run(['build', trial.at('context')])).code, 0)
  t.regex((await trial.kauri.run(['df'])).stdout, /cache mounts +1 +0 +52\d/i)
  const kept = await trial.kauri.run(['gc', '--cache-mounts', '1m'])
  t.regex(kept.stdout, /freed 0 cache mounts/)
  const freed = await trial.kauri.run(['gc', '--cache-mounts', '100k'])
  t.regex(freed.stdout, /freed 1 cache mounts, 52\d/)
  t.deepEqual(readdirSync(path.join(trial.kauri.dataRoot, 'cache/mounts')), [])
})

test('the host’s own mounts come from the file that the variable names', async t => {
  using trial = await openTrial()
  writeFileSync(trial.at('credentials'), 'user=x\n')
  writeFileSync(trial.at('conf'), `${trial.at('credentials')}:/etc/credentials\n`)
  trial.write('FROM small\nRUN cat /etc/credentials\n')
  const env = { KAURI_BUILD_MOUNTS_CONF: trial.at('conf') }
  const built = await trial.kauri.run(['build', trial.at('context')], { env })
  t.is(built.code, 0, built.stderr)
  t.regex(built.stderr, /user=x/)
  writeFileSync(trial.at('conf'), '\nno mount\n')
  trial.write('FROM small\nRUN cat /etc/credentials || true\n')
  const refused = await trial.kauri.run(['build', trial.at('context')], { env })
  t.is(refused.code, 2)
  t.true(refused.stderr.includes(`${trial.at('conf')}:2:1`))
})

testWithSsh('a killed build leaves no agent, process, mount or scratch directory', async t => {
  using trial = await openTrial()
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', trial.at('key')])
  trial.write(
    'FROM small\nRUN --mount=type=ssh --mount=type=cache,sharing=locked,target=/c echo begun && sleep 473\n',
  )
  const child = trial.kauri.start([
    'build',
    '--ssh',
    `default=${trial.at('key')}`,
    trial.at('context'),
  ])
  let shown = ''
  child.stderr?.on('data', chunk => {
    shown += String(chunk)
  })
  await eventually(() => /\d begun/.test(shown))
  t.regex(shown, /\d begun/)
  child.kill('SIGKILL')
  await new Promise(resolve => child.once('close', resolve))
  await eventually(() => trial.kauri.traces().length === 0)
  t.deepEqual(trial.kauri.traces(), [])
  t.deepEqual(agentsOf(trial.kauri.dataRoot), [])
  // The lock died with its holder, and the next build sweeps what was left.
  trial.write('FROM small\nRUN --mount=type=cache,sharing=locked,target=/c echo again\n')
  const next = await trial.kauri.run(['build', trial.at('context')])
  t.is(next.code, 0, next.stderr)
  t.deepEqual(readdirSync(path.join(trial.kauri.dataRoot, 'scratch')), [])
})

function agentsOf(dataRoot: string): string[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .filter(pid => {
      try {
        return (
          readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith('ssh-agent') &&
          readlinkSync(`/proc/${pid}/cwd`).startsWith(dataRoot)
        )
      } catch {
        return false
      }
    })
}
