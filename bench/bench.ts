// `npm run bench [-- ROW...] [-- --write docs/performance.md]`: kauri and its peers side by side in one run, as root.
// Prints a table; writes nothing but with --write. Everything happens in a mount namespace of its own and below one
// scratch directory: what peers mount, and what they leave, goes with them.

import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { openBench } from './context.ts'
import { describeMachine } from './machine.ts'
import { formatTable, type Line, type Row } from './table.ts'
import { writeTable } from './write-table.ts'

/** In the order of the table: the short ones first, so that a mistake shows early. */
const rows: Readonly<Record<string, () => Promise<{ readonly row: Row }>>> = {
  start: () => import('./rows/start.ts'),
  launch: () => import('./rows/launch.ts'),
  run: () => import('./rows/run-true.ts'),
  bridge: () => import('./rows/run-bridge.ts'),
  import: () => import('./rows/import-archive.ts'),
  store: () => import('./rows/big-store.ts'),
  registry: () => import('./rows/registry.ts'),
  layers: () => import('./rows/layers.ts'),
  memory: () => import('./rows/memory.ts'),
  rebuild: () => import('./rows/rebuild.ts'),
  dockerfile: () => import('./rows/dockerfile-builds.ts'),
  build: () => import('./rows/cold-build.ts'),
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    write: { type: 'string' },
    scratch: { type: 'string' },
    root: { type: 'string' },
    inside: { type: 'string' },
    help: { type: 'boolean', short: 'h' },
  },
})
const chosen = positionals.length === 0 ? Object.keys(rows) : positionals
process.exitCode = await main()

async function main(): Promise<number> {
  if (values.help || chosen.some(name => !(name in rows))) {
    const names = Object.keys(rows).join('|')
    console.error(
      `usage: npm run bench -- [--write FILE] [--scratch DIR] [--root TAR] [${names}]...`,
    )
    return values.help ? 0 : 2
  }
  if (process.getuid?.() !== 0) {
    console.error('bench: containers and images are made as root')
    return 1
  }
  return values.inside === undefined ? await outside() : await inside(values.inside)
}

/** Runs this program again in a mount namespace of its own, and removes what it left. */
async function outside(): Promise<number> {
  const scratch = await mkdtemp(path.join(values.scratch ?? tmpdir(), 'kauri-bench-'))
  const again = [process.execPath, ...process.argv.slice(1), '--inside', scratch]
  const child = spawn('unshare', ['--mount', '--propagation', 'private', ...again], {
    stdio: 'inherit',
  })
  // Both get Ctrl-C; the inner one ends what it started, this one waits for it.
  process.on('SIGINT', () => child.ref())
  process.on('SIGTERM', name => child.kill(name))
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once('error', reject)
      child.once('close', code => resolve(code ?? 1))
    })
  } finally {
    await rm(scratch, { recursive: true, force: true, maxRetries: 5 })
  }
}

async function inside(scratch: string): Promise<number> {
  const controller = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const)
    process.once(name, () => controller.abort(new Error(`stopped by ${name}`)))
  await using bench = await openBench({
    scratch,
    rootArchive: values.root,
    signal: controller.signal,
    say: text => console.error(text),
  })
  const lines: Line[] = []
  let failures = 0
  for (const name of chosen) {
    const load = rows[name]
    if (load === undefined) continue
    const { row } = await load()
    console.error(`== ${name}: ${row.summary}`)
    try {
      lines.push(...(await row.measure(bench)))
    } catch (error) {
      if (controller.signal.aborted) return 130
      failures++
      console.error(`   failed: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  const machine = await describeMachine()
  console.log(`${machine}\n\n${formatTable(lines)}`)
  if (values.write !== undefined && failures === 0) await writeTable(values.write, lines, machine)
  return failures === 0 ? 0 : 1
}
