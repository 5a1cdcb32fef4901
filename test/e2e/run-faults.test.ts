// `kauri run` when it is killed at any moment, or the disk is full: nothing stays, and the next command works.

import { existsSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { testWith } from '../helpers/needs.ts'
import { useContainers } from '../helpers/run-containers.ts'

const test = testWith({ root: true })
const { kauri, importRoot } = useContainers()

function activeTrees(): string[] {
  const directory = path.join(kauri.dataRoot, 'snapshots/overlay/.active')
  return existsSync(directory) ? readdirSync(directory) : []
}

/** Takes the unpacked layers away, so that the next run unpacks again. */
async function forgetSnapshots(): Promise<void> {
  const { rm } = await import('node:fs/promises')
  await rm(path.join(kauri.dataRoot, 'snapshots'), { recursive: true, force: true })
}

const moments = [0, 20, 40, 60, 70, 80, 90, 100, 120, 140, 170, 200, 250, 300]

for (const signal of ['SIGKILL', 'SIGTERM'] as const)
  test(`${signal} at any moment of a first run leaves nothing that the next one does not remove`, async t => {
    for (const afterMs of moments) {
      await forgetSnapshots()
      const child = kauri.start(['run', '--rm', 'small', 'sh', '-c', 'sleep 0.2'])
      const ended = new Promise(resolve => child.once('close', resolve))
      await sleep(afterMs)
      child.kill(signal)
      child.stdout?.resume()
      child.stderr?.resume()
      await ended
      const next = await kauri.run(['run', '--rm', 'small', 'sh', '-c', 'echo works'])
      t.is(next.stdout, 'works\n', `after ${afterMs} ms: ${next.stderr}`)
      t.deepEqual(kauri.traces(), [], `after ${afterMs} ms`)
      t.deepEqual(activeTrees(), [], `after ${afterMs} ms`)
      t.deepEqual(readdirSync(path.join(kauri.dataRoot, 'containers')), ['.names'])
    }
  })

for (const sizeMiB of [1, 4, 6, 8])
  test(`a disk of ${sizeMiB} MiB that is full while layers are unpacked is said to be, and nothing stays`, async t => {
    await forgetSnapshots()
    const snapshots = path.join(kauri.dataRoot, 'snapshots')
    const script = `mkdir -p ${snapshots} && mount -t tmpfs -o size=${sizeMiB}m small ${snapshots} && "$@"
      code=$?; ls -A ${snapshots}/*/.active ${snapshots}/*/.trash; exit $code`
    const through = ['unshare', '--mount', 'sh', '-c', script, 'sh']
    const result = await kauri.run(['run', '--rm', 'small', 'true'], { through })
    t.is(result.code, 125, result.stderr)
    t.regex(result.stderr, /no space left while writing/)
    t.regex(result.stderr, /--data-root/)
    t.notRegex(result.stdout, /[0-9a-f]{32}/)
    t.deepEqual(kauri.traces(), [])
  })

test('a container that fills its own tree gets the error itself', async t => {
  await importRoot('filler')
  await forgetSnapshots()
  const snapshots = path.join(kauri.dataRoot, 'snapshots')
  const script = `mkdir -p ${snapshots} && mount -t tmpfs -o size=64m small ${snapshots} && exec "$@"`
  const through = ['unshare', '--mount', 'sh', '-c', script, 'sh']
  const words = ['filler', 'sh', '-c', 'dd if=/dev/zero of=/big bs=1M count=200; echo $?; rm /big']
  const result = await kauri.run(['run', '--rm', ...words], { through })
  t.regex(result.stderr, /No space left on device/)
  t.is(result.stdout, '1\n')
  t.deepEqual(kauri.traces(), [])
})
