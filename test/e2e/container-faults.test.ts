// Commands on containers that are killed at any moment, and monitors, too: what is listed is true, what is removed is gone.

import { readFileSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { namesIn } from '../../src/core/directory-names.ts'
import { eventually } from '../helpers/eventually.ts'
import { testWith } from '../helpers/needs.ts'
import { useContainers } from '../helpers/run-containers.ts'

const test = testWith({ root: true })
const { kauri } = useContainers()

/** 500 by command; a few each time. */
const kills = Number(process.env['KAURI_TEST_KILLS'] ?? 10)

/** Starts a command and kills it after a while. */
async function killed(afterMs: number, ...args: readonly string[]): Promise<void> {
  const child = kauri.start(args)
  child.stdout?.resume()
  child.stderr?.resume()
  const ended = new Promise(resolve => child.once('close', resolve))
  await Promise.race([ended, sleep(afterMs)])
  child.kill('SIGKILL')
  await ended
}

function killOneMonitor(): void {
  const directory = path.join(kauri.runRoot, 'containers')
  for (const id of namesIn(directory)) {
    try {
      const { monitor } = JSON.parse(readFileSync(path.join(directory, id, 'state.json'), 'utf8'))
      return void process.kill(monitor.pid, 'SIGKILL')
    } catch {
      // It is being made, or has just ended.
    }
  }
}

test('kills at any moment leave nothing that the next command does not remove, and lists are true', async t => {
  const program = ['small', 'sh', '-c', 'while :; do sleep 0.05; done']
  for (let i = 0; i < kills; i++) {
    const afterMs = (i * 53) % 400
    await killed(afterMs, 'run', '-d', '--name', `c${i}`, '--network', 'none', ...program)
    await killed(afterMs, 'stop', '-t', '0', `c${i - 1}`)
    await killed(afterMs, 'start', `c${i - 2}`)
    await killed(afterMs, 'rm', '-f', `c${i - 3}`)
    if (i % 3 === 2) killOneMonitor()
  }
  t.true(
    await eventually(async () => {
      const listed = await kauri.run(['ps', '-aq'])
      const names = listed.stdout.split('\n').filter(Boolean)
      if (names.length > 0) await kauri.run(['rm', '-f', ...names])
      return names.length === 0 && kauri.traces().length === 0
    }),
    kauri.traces().join('\n'),
  )
  t.deepEqual(namesIn(path.join(kauri.runRoot, 'containers')), [])
  t.deepEqual(namesIn(path.join(kauri.runRoot, 'runtime')), [])
  const { code, stdout } = await kauri.run(['run', '--rm', 'small', 'sh', '-c', 'echo works'])
  t.like({ code, stdout }, { code: 0, stdout: 'works\n' })
})
