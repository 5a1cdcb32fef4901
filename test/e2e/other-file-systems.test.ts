// Snapshots on file systems that this machine's temporary directory is not on: images of them, mounted in a namespace of the
// test's own. The tests of the snapshotters run there once more, and the same build gives the same layers.

import { spawnSync } from 'node:child_process'
import { createReadStream, createWriteStream, mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { pipeline } from 'node:stream/promises'
import { createZstdDecompress } from 'node:zlib'
import test from 'ava'
import { type KauriProgram, kauriProgram } from '../helpers/kauri-program.ts'
import { makeScratch, type Scratch } from '../helpers/scratch.ts'
import { makeSmallRoot, tarOfRoot } from '../helpers/small-root.ts'

const project = path.join(import.meta.dirname, '../..')

/** An empty file system, and the words before a command that shall see it mounted on a directory. */
interface MountedImage {
  readonly directory: string
  readonly through: readonly string[]
}

async function makeImage(scratch: Scratch, type: 'btrfs' | 'xfs'): Promise<MountedImage> {
  const image = scratch.at(`${type}.img`)
  const directory = scratch.at(type)
  mkdirSync(directory)
  const packed = path.join(project, 'test/fixtures', `${type}.img.zst`)
  await pipeline(createReadStream(packed), createZstdDecompress(), createWriteStream(image))
  const script = 'mount -o loop "$0" "$1" && export TMPDIR="$1" && shift && exec "$@"'
  const namespace = ['unshare', '--mount', '--propagation', 'private']
  return { directory, through: [...namespace, 'sh', '-c', script, image, directory] }
}

/** Why images of a kind cannot be mounted here, or undefined. */
function obstacleTo({ through }: MountedImage): string | undefined {
  const [program = '', ...args] = through
  const { status, stderr } = spawnSync(program, [...args, 'true'], { encoding: 'utf8' })
  return status === 0 ? undefined : stderr.trim() || `${program} ended with ${status}`
}

/** A test on an image; where none can be mounted it says so and ends. */
function testOn(
  type: 'btrfs' | 'xfs',
  title: string,
  body: (image: MountedImage, scratch: Scratch) => Promise<readonly [unknown, unknown][]>,
): void {
  const whole = `${type}: ${title}`
  if (process.getuid?.() !== 0) {
    test.skip(`${whole} [needs root]`, () => {})
    return
  }
  test(whole, async t => {
    using scratch = makeScratch()
    const image = await makeImage(scratch, type)
    const obstacle = obstacleTo(image)
    if (obstacle !== undefined) {
      t.log(`skipped: ${type} cannot be mounted here: ${obstacle}`)
      t.pass()
      return
    }
    for (const [actual, wanted] of await body(image, scratch)) t.deepEqual(actual, wanted)
  })
}

/** Runs test files with the directory for temporary files on the image; what AVA printed. */
function runTests({ through }: MountedImage, ...args: readonly string[]): string {
  const [program = '', ...before] = through
  const ava = path.join(project, 'node_modules/ava/entrypoints/cli.js')
  const { status, stdout, stderr } = spawnSync(
    program,
    [...before, process.execPath, ava, '--concurrency=1', ...args],
    { cwd: project, encoding: 'utf8', env: { ...process.env, KAURI_LAYER_SEEDS: '1 2' } },
  )
  if (status !== 0) throw new Error(`${stdout}${stderr}`)
  return stdout
}

async function done(
  kauri: KauriProgram,
  args: readonly string[],
  {
    through,
    input = '',
  }: { readonly through: readonly string[]; readonly input?: Buffer | string },
): Promise<string> {
  const { code, stdout, stderr } = await kauri.run(args, { through, input })
  if (code !== 0) throw new Error(`${args.join(' ')}: ${code}: ${stderr}`)
  return stdout
}

testOn(
  'btrfs',
  'snapshots keep the contract, and give the layers that others give',
  async image => {
    const printed = runTests(
      image,
      'test/rootfs/snapshotter.test.ts',
      'test/rootfs/unpack-image.test.ts',
      'test/build/snapshot-change.test.ts',
      'test/build/layer-exactness.test.ts',
    )
    return [[/btrfs: a committed tree is found again/.test(printed), true]]
  },
)

testOn('xfs', 'copies share their blocks, and give the layers that others give', async image => {
  const printed = runTests(
    image,
    'test/rootfs/copied-blocks.test.ts',
    'test/build/layer-exactness.test.ts',
  )
  return [[/copies of large files take no room/.test(printed), true]]
})

const dockerfile = `FROM small
RUN ln /bin/cat /bin/cat2 && ln /bin/cat /cat3
RUN chmod 700 /bin/cat2 && rm -r /home && mkdir -m 700 /home
RUN : 3<> /cat3 && ln /bin/id /bin/id2 && echo x > /etc/group
`

/** Diff IDs of an image that is built in a state of its own. */
async function buildWith(
  kauri: KauriProgram,
  scratch: Scratch,
  {
    snapshotter,
    dataRoot,
    through,
  }: {
    readonly snapshotter: string
    readonly dataRoot: string
    readonly through: readonly string[]
  },
): Promise<unknown> {
  using root = makeScratch()
  makeSmallRoot(root.path)
  const where = ['--data-root', dataRoot, '--snapshotter', snapshotter]
  await done(kauri, ['import', ...where, '-', 'small'], { through, input: tarOfRoot(root.path) })
  const options = ['--source-date-epoch', '1700000000', '--rewrite-timestamp']
  const file = ['-f', scratch.at('Dockerfile'), '-t', 'made', scratch.at('context')]
  await done(kauri, ['build', ...where, ...options, ...file], { through })
  const run = ['run', ...where, '--rm', '--network', 'none', 'made', 'ls', '/bin/cat2', '/cat3']
  await done(kauri, run, { through })
  const details: unknown = JSON.parse(
    await done(kauri, ['inspect', ...where, '--json', 'made'], { through }),
  )
  return layersIn(details).slice(1)
}

/** The layers in whatever `inspect` prints. */
function layersIn(details: unknown): readonly unknown[] {
  const text = JSON.stringify(details)
  const [, list = '[]'] = /"(?:Layers|diff_ids)":(\[[^\]]*\])/.exec(text) ?? []
  return JSON.parse(list) as readonly unknown[]
}

testOn(
  'btrfs',
  'the same build gives the same layers on every snapshotter',
  async (image, scratch) => {
    using kauri = kauriProgram()
    writeFileSync(scratch.at('Dockerfile'), dockerfile)
    mkdirSync(scratch.at('context'))
    const results: unknown[] = []
    for (const snapshotter of ['overlay', 'copy', 'btrfs']) {
      const through = image.through
      const dataRoot = path.join(image.directory, snapshotter)
      results.push(await buildWith(kauri, scratch, { snapshotter, dataRoot, through }))
    }
    const [first] = results
    return [
      ...results.map((result): [unknown, unknown] => [result, first]),
      [Array.isArray(first) && first.length, 3],
    ]
  },
)
