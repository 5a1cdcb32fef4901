import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import test from 'ava'
import type { RuntimeMount } from '../../src/oci/runtime-config.ts'
import { defaultRuntimeConfig } from '../../src/runtime/default-config.ts'
import { planMountPoints } from '../../src/runtime/mount-points.ts'
import { makeScratch } from '../helpers/scratch.ts'

const tmpfs = (destination: string): RuntimeMount => ({
  type: 'tmpfs',
  source: 'tmpfs',
  destination,
  options: [],
})

test('links that a container left do not lead to the host’s files where mount points are looked for (CVE-2018-15664)', t => {
  using scratch = makeScratch()
  mkdirSync(scratch.at('host/there'), { recursive: true })
  writeFileSync(scratch.at('host/file'), '')
  mkdirSync(scratch.at('upper/own/there'), { recursive: true })
  symlinkSync(scratch.at('host'), scratch.at('upper/out'))
  symlinkSync(scratch.at('host/file'), scratch.at('upper/file'))
  symlinkSync('loop', scratch.at('upper/loop'))
  const root = {
    kind: 'overlay',
    lower: [],
    upper: scratch.at('upper'),
    work: scratch.at('work'),
  } as const
  const config = defaultRuntimeConfig({ args: ['true'], env: [], network: 'none' })
  const mounts = ['/own/there', '/out/there', '/file/below', '/loop/below'].map(tmpfs)
  const planned = planMountPoints({ ...config, mounts }, root, scratch.at('spare'))
  t.deepEqual(
    planned?.missing.map(({ path }) => path),
    ['out/there', 'file/below', 'loop/below'],
  )
})
