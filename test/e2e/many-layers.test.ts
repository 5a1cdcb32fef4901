// Images of more layers than mount(2) takes as paths: they run, are built upon, and the change is told.

import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { snapshotId } from '../../src/rootfs/rootfs.ts'
import { treeOf, writeRecord } from '../../src/rootfs/snapshot-records.ts'
import { type KauriProgram, kauriProgram } from '../helpers/kauri-program.ts'
import { testWith } from '../helpers/needs.ts'
import { makeScratch, type Scratch } from '../helpers/scratch.ts'
import { makeSmallRoot, tarOfRoot } from '../helpers/small-root.ts'
import { tarOf } from '../helpers/tar.ts'

const test = testWith({ root: true })

function hexOf(bytes: string | Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function smallRootTar(): Buffer {
  using root = makeScratch()
  makeSmallRoot(root.path)
  return tarOfRoot(root.path)
}

/** An OCI layout with one image: a small root, and layers of one file each; the chain IDs of its layers. */
function makeLayout(scratch: Scratch, count: number): string[] {
  const blobs = scratch.at('layout', 'blobs', 'sha256')
  mkdirSync(blobs, { recursive: true })
  const put = (bytes: string | Buffer): { digest: string; size: number } => {
    writeFileSync(path.join(blobs, hexOf(bytes)), bytes)
    return { digest: `sha256:${hexOf(bytes)}`, size: Buffer.byteLength(bytes) }
  }
  const tars = [
    smallRootTar(),
    ...Array.from({ length: count - 1 }, (_, index) =>
      tarOf({ name: `layer-${index + 1}`, body: `${index + 1}` }),
    ),
  ]
  const layers = tars.map(tar => put(tar))
  const config = put(
    JSON.stringify({
      architecture: process.arch === 'x64' ? 'amd64' : process.arch,
      os: 'linux',
      config: { Cmd: ['sh'] },
      rootfs: { type: 'layers', diff_ids: layers.map(({ digest }) => digest) },
    }),
  )
  const mediaType = (what: string): string => `application/vnd.oci.image.${what}`
  const manifest = put(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaType('manifest.v1+json'),
      config: { mediaType: mediaType('config.v1+json'), ...config },
      layers: layers.map(layer => ({ mediaType: mediaType('layer.v1.tar'), ...layer })),
    }),
  )
  const annotations = { 'org.opencontainers.image.ref.name': 'latest' }
  const entry = { mediaType: mediaType('manifest.v1+json'), ...manifest, annotations }
  writeFileSync(scratch.at('layout', 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
  writeFileSync(
    scratch.at('layout', 'index.json'),
    JSON.stringify({ schemaVersion: 2, manifests: [entry] }),
  )
  const chain: string[] = []
  for (const { digest } of layers)
    chain.push(chain.length === 0 ? digest : `sha256:${hexOf(`${chain.at(-1)} ${digest}`)}`)
  return chain.map(id => id.slice('sha256:'.length))
}

/** Snapshots of the layers above the first, as unpacking makes them, which would take a while. */
function fabricateSnapshots(kauri: KauriProgram, chain: readonly string[]): void {
  const directory = path.join(kauri.dataRoot, 'snapshots/overlay')
  for (const [index, id] of chain.entries()) {
    const parent = chain[index - 1]
    if (parent === undefined) continue
    const tree = treeOf(directory, snapshotId(id))
    mkdirSync(tree, { recursive: true, mode: 0o755 })
    writeFileSync(path.join(tree, `layer-${index}`), `${index}`)
    writeRecord(path.dirname(tree), { parent: snapshotId(parent), labels: {} })
  }
}

async function done(kauri: KauriProgram, ...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await kauri.run(args)
  if (code !== 0) throw new Error(`${args.join(' ')}: ${code}: ${stderr}`)
  return stdout
}

for (const { count, isUnpacked } of [
  { count: 130, isUnpacked: true },
  { count: 499, isUnpacked: false },
])
  test(`an image of ${count} layers runs, is built upon, and the change is told`, async t => {
    using scratch = makeScratch()
    using kauri = kauriProgram()
    const chain = makeLayout(scratch, count)
    await done(kauri, 'copy', `oci:${scratch.at('layout')}:latest`, 'deep')
    if (!isUnpacked) {
      await done(kauri, 'import', '-q', scratch.at('layout/blobs/sha256', chain[0] ?? ''), 'base')
      await done(kauri, 'run', '--rm', '--network', 'none', 'base', 'true')
      fabricateSnapshots(kauri, chain)
    }
    const script = 'ls / | grep -c layer-; cat /layer-1; echo changed > /layer-1; cat /layer-1'
    const run = ['run', '--rm', '--network', 'none', 'deep', 'sh', '-c', script]
    t.is(await done(kauri, ...run), `${count - 1}\n1changed\n`)
    writeFileSync(scratch.at('Dockerfile'), 'FROM deep\nRUN rm /layer-2 && echo new > /layer-3\n')
    const context = scratch.at('context')
    mkdirSync(context)
    await done(kauri, 'build', '-q', '-f', scratch.at('Dockerfile'), '-t', 'higher', context)
    const look = ['run', '--rm', '--network', 'none', 'higher', 'sh', '-c']
    t.is(await done(kauri, ...look, 'ls / | grep -c layer-; cat /layer-3'), `${count - 2}\nnew\n`)
    const difference = await done(kauri, 'diff', 'deep', 'higher')
    t.regex(difference, /layer-2\b/)
    t.regex(difference, /layer-3\b/)
    t.notRegex(difference, /layer-4\b/)
  })
