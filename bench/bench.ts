// `npm run bench [-- ROW...] [-- --write docs/performance.md]`: kauri and its peers side by side in one run, as root.
// Prints a table; writes nothing but with --write. Everything made for it lies in one scratch directory and goes with it.

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
  import: () => import('./rows/import-archive.ts'),
  memory: () => import('./rows/memory.ts'),
  rebuild: () => import('./rows/rebuild.ts'),
  build: () => import('./rows/cold-build.ts'),
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    write: { type: 'string' },
    scratch: { type: 'string' },
    root: { type: 'string' },
    help: { type: 'boolean', short: 'h' },
  },
})

const chosen = positionals.length === 0 ? Object.keys(rows) : positionals
const unknown = chosen.filter(name => !(name in rows))
if (values.help || unknown.length > 0) {
  console.error(
    `usage: npm run bench -- [--write FILE] [--scratch DIR] [--root TAR] [${Object.keys(rows).join('|')}]...`,
  )
  process.exit(values.help ? 0 : 2)
}
if (process.getuid?.() !== 0) {
  console.error('bench: containers and images are made as root')
  process.exit(1)
}

const controller = new AbortController()
for (const name of ['SIGINT', 'SIGTERM'] as const)
  process.once(name, () => controller.abort(new Error(`stopped by ${name}`)))

await using bench = await openBench({
  scratchParent: values.scratch,
  rootArchive: values.root,
  signal: controller.signal,
  say: text => console.error(text),
})
const lines: Line[] = []
for (const name of chosen) {
  const load = rows[name]
  if (load === undefined) continue
  const { row } = await load()
  console.error(`== ${name}: ${row.summary}`)
  lines.push(...(await row.measure(bench)))
}
const table = formatTable(lines)
console.log(table)
console.log(await describeMachine())
if (values.write !== undefined) await writeTable(values.write, table, await describeMachine())
