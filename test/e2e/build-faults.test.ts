// Dockerfile builds that are killed or run out of disk: nothing half done counts, the next build sweeps what was left and
// makes the same image as if nothing had happened.

import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ExecutionContext } from 'ava'
import { storeFaults } from '../helpers/described-builds.ts'
import { eventually } from '../helpers/eventually.ts'
import { kauriProgram } from '../helpers/kauri-program.ts'
import { testWith } from '../helpers/needs.ts'
import { useContainers } from '../helpers/run-containers.ts'
import { makeScratch, type Scratch } from '../helpers/scratch.ts'

const test = testWith({ root: true })
const { kauri } = useContainers()

const dockerfile = `FROM small AS tools
RUN mkdir /out && for i in 1 2 3 4 5 6 7 8 9; do echo $i > /out/$i; done
FROM small
COPY large /large
COPY --from=tools /out /out
RUN rm /out/1 && echo done > /done
COPY --link many /many
COPY large /again
`

function contextIn(scratch: Scratch, largeBytes: number): string {
  const directory = scratch.at('context')
  mkdirSync(path.join(directory, 'many'), { recursive: true })
  writeFileSync(path.join(directory, 'Dockerfile'), dockerfile)
  // Nothing makes it smaller, so that layers need their space, too.
  writeFileSync(path.join(directory, 'large'), randomBytes(largeBytes))
  for (let file = 0; file < 300; file++)
    writeFileSync(path.join(directory, 'many', String(file)), String(file))
  return directory
}

const words = ['build', '--quiet', '--network', 'none', '--source-date-epoch', '1700000000', '-t']

/** What builds leave only while they work. */
function leftovers(dataRoot: string): string[] {
  const places = ['oci/ingest', 'scratch', 'snapshots/overlay/.active', 'snapshots/overlay/.trash']
  return places.flatMap(place => {
    const directory = path.join(dataRoot, place)
    return existsSync(directory) ? readdirSync(directory).map(name => `${place}/${name}`) : []
  })
}

async function checkSwept(t: ExecutionContext): Promise<void> {
  t.deepEqual(storeFaults(kauri.dataRoot), [])
  // A short command may end before all is deleted; this one does not.
  await kauri.run(['gc'])
  t.deepEqual(leftovers(kauri.dataRoot), [])
  await eventually(() => kauri.traces().length === 0)
  t.deepEqual(kauri.traces(), [])
}

test('kill -9 at any moment of a build: the next one makes the same image', async t => {
  using scratch = makeScratch()
  const context = contextIn(scratch, 12_000_000)
  const reference = await kauri.run([...words, 'clean:1', context])
  t.is(reference.code, 0, reference.stderr)
  for (const afterMs of [100, 180, 260, 340, 420, 520, 640, 800, 1000]) {
    const child = kauri.start([...words, 'killed:1', '--no-cache', context])
    const closed = once(child, 'close')
    child.stderr?.resume()
    child.stdout?.resume()
    await sleep(afterMs)
    child.kill('SIGKILL')
    await closed
    t.deepEqual(storeFaults(kauri.dataRoot), [])
    const again = await kauri.run([...words, 'killed:1', context])
    t.is(again.code, 0, again.stderr)
    t.is(again.stdout, reference.stdout, `killed after ${afterMs} ms`)
    await checkSwept(t)
  }
})

test('a kill with an empty cache leaves none that is wrong', async t => {
  using scratch = makeScratch()
  const context = contextIn(scratch, 4_000_000)
  let expected: string | undefined
  for (const afterMs of [150, 300, 450, 600]) {
    // Other content each time, so that every step runs.
    writeFileSync(path.join(context, 'many', 'other'), String(afterMs))
    const child = kauri.start([...words, 'killed:2', context])
    const closed = once(child, 'close')
    child.stderr?.resume()
    child.stdout?.resume()
    await sleep(afterMs)
    child.kill('SIGKILL')
    await closed
    const found = await kauri.run([...words, 'killed:2', context])
    t.is(found.code, 0, found.stderr)
    expected = (await kauri.run([...words, 'killed:2', '--no-cache', context])).stdout
    t.is(found.stdout, expected, `killed after ${afterMs} ms`)
  }
  await checkSwept(t)
})

/** Words that start a program with a small disk at a directory, in a mount namespace of its own. */
const withDisk = (megabytes: number, directory: string): readonly string[] => [
  'unshare',
  '--mount',
  'sh',
  '-c',
  `mkdir -p "${directory}" && mount -t tmpfs -o size=${megabytes}m,mode=711 tmpfs "${directory}" && exec "$@"`,
  'sh',
]

// Too small for the records, the copy, its layer, the second copy.
for (const megabytes of [1, 8, 20, 30, 40])
  test(`a disk of ${megabytes} MB that is full is told as that`, async t => {
    using scratch = makeScratch()
    using program = kauriProgram()
    const context = contextIn(scratch, 11_000_000)
    writeFileSync(
      path.join(context, 'Dockerfile'),
      'FROM scratch\nCOPY large /one\nCOPY large /two\nCOPY many /many\n',
    )
    const through = withDisk(megabytes, program.dataRoot)
    const result = await program.run(['build', '-t', 'full:1', context], { through })
    t.is(result.code, 1, result.stderr)
    const message = result.stderr.slice(result.stderr.indexOf('kauri: '))
    t.regex(message, /no space left[^]*hint: free space/i)
    t.is(result.stdout, '')
    t.deepEqual(program.traces(), [])
    const next = await program.run(['build', '--quiet', '-t', 'full:1', context])
    t.is(next.code, 0, next.stderr)
  })

for (const output of ['type=tar', 'type=oci', 'type=docker', 'type=local'])
  test(`a full disk under --output ${output} is told, and no half file is left`, async t => {
    using scratch = makeScratch()
    const context = contextIn(scratch, 4_000_000)
    const disk = scratch.at('disk')
    const destination = path.join(disk, output === 'type=local' ? 'root' : 'file')
    const result = await kauri.run(
      ['build', '--network', 'none', '-o', `${output},dest=${destination}`, context],
      { through: withDisk(2, disk) },
    )
    t.is(result.code, 1, result.stderr)
    t.regex(result.stderr, /no space left/i)
    const whole = path.join(scratch.path, 'whole')
    const again = await kauri.run([
      'build',
      '--quiet',
      '--network',
      'none',
      '-o',
      `${output},dest=${whole}`,
      context,
    ])
    t.is(again.code, 0, again.stderr)
    t.true(existsSync(whole))
    rmSync(whole, { recursive: true })
  })
