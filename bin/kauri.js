// Where kauri starts. Plain JavaScript on purpose: the first TypeScript file costs 26 ms for loading Node's type stripper
// (Node itself starts in 21), and only a warm compile cache takes that away. So --version is answered here.

import { readFileSync, writeSync } from 'node:fs'
import { enableCompileCache } from 'node:module'

/** Compiled modules are kept where only the caller, or root, writes: what lies there is run. */
function compileCacheDirectory() {
  if (process.getuid?.() === 0) return '/var/cache/kauri/node'
  const { HOME = '/nonexistent', XDG_CACHE_HOME = `${HOME}/.cache` } = process.env
  return `${XDG_CACHE_HOME}/kauri/node`
}

const args = process.argv.slice(2)
if (args.length === 1 && (args[0] === '--version' || args[0] === '-v')) {
  const manifest = readFileSync(`${import.meta.dirname}/../package.json`, 'utf8')
  writeSync(1, `kauri ${JSON.parse(manifest).version}\n`)
} else {
  enableCompileCache(compileCacheDirectory())
  const { runAsProcess } = await import('../src/cli/main.ts')
  await runAsProcess(args)
}
